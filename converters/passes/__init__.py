"""Rewrites of a float Graph, one a file; each leaves the float output as it was."""
