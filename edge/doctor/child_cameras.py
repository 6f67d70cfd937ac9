"""Run in a process of its own: print what libcamera sees, as the loop would find it."""

from __future__ import annotations

import json
from collections.abc import Sequence


def main(_: Sequence[str]) -> None:
    """Print a JSON list of camera models. Raises: whatever the import of picamera2 raises."""
    from edge.sources.picamera2 import list_cameras

    print(json.dumps(list_cameras()))
