"""Latency from the hot path to a page: recorder, log, summary, rendering."""
