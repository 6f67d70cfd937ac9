"""The root of this package's errors."""

from __future__ import annotations

from edge.errors import EdgeError


class CalibrationError(EdgeError):
    """Calibration or evaluation cannot be done with what was given."""
