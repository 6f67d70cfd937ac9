"""Figures as text, the same in the terminal and in the report, and as JSON."""

from __future__ import annotations

import math
from typing import Any


def percent(share: float | None) -> str:
    """Return a share of 1 in percent, "-" where there is none."""
    return "-" if share is None else f"{100 * share:.2f} %"


def decibels(sqnr_db: float | None) -> str:
    """Return a ratio in dB, "exact" for no noise at all, "-" where there is none."""
    if sqnr_db is None or math.isnan(sqnr_db):
        return "-"
    return "exact" if sqnr_db == math.inf else f"{sqnr_db:.1f} dB"


def size(size_bytes: int) -> str:
    """Return a number of bytes in MB or kB."""
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def finite(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a JSON value with infinities and NaN, which JSON has no word for, as None.

    A tuple becomes a list, as in JSON.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value
