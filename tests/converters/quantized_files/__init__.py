"""Tiny networks as other tools quantize and export them, and the script that had them do it."""
