"""Figures as text, the same in the terminal and in the report."""

from __future__ import annotations

import math


def percent(share: float | None) -> str:
    """Return a share of 1 in percent, "-" where there is none."""
    return "-" if share is None else f"{100 * share:.2f} %"


def decibels(sqnr_db: float | None) -> str:
    """Return a ratio in dB, "exact" for no noise at all, "-" where there is none."""
    if sqnr_db is None or math.isnan(sqnr_db):
        return "-"
    return f"{sqnr_db:.1f} dB" if math.isfinite(sqnr_db) else "exact"


def size(size_bytes: int) -> str:
    """Return a number of bytes in MB or kB."""
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"
