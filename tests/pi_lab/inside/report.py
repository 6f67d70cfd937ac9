"""Runs edge-report as it is."""

from __future__ import annotations

from edge.latency.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
