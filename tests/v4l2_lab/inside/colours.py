"""Looks through the V4L2 source at bars of known colours, in every format that it can be given."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import cv2

from edge.sources.base import Frame, SourceError
from edge.sources.v4l2 import V4l2Source
from edge.tensors import U8
from tests.v4l2_lab.inside import vivid
from tests.v4l2_lab.inside.loop import OUT

BARS = 8
# Half the side of the part of a bar that is looked at.
HALF = 8


def bars(frame: Frame, pattern: str) -> list[list[int]]:
    """Return R, G, B in the middle of each bar, from the left or from above."""
    pixels: U8 = frame.pixels if frame.color == "rgb" else frame.pixels[:, :, ::-1]
    height, width = pixels.shape[:2]
    seen = []
    for bar in range(BARS):
        y, x = height // 4, width * (2 * bar + 1) // (2 * BARS)
        if pattern == "lying bars":
            y, x = height * (2 * bar + 1) // (2 * BARS), width // 4
        middle = pixels[y - HALF : y + HALF, x - HALF : x + HALF]
        seen.append([round(float(value)) for value in middle.mean((0, 1))])
    return seen


def look(pixel_format: str | None, pattern: str, size: tuple[int, int]) -> dict[str, Any]:
    """Return what is seen, and what the source says of itself; or its error.

    The frame is kept as a picture, by the name of the pattern, where no format was named.
    """
    asked = {"asked": pixel_format, "pattern": pattern, "size": list(size)}
    vivid.control(test_pattern=vivid.PATTERNS[pattern], osd_text_mode=vivid.NO_TEXT)
    try:
        source = V4l2Source(vivid.DEVICE, size=size, pixel_format=pixel_format)
    except SourceError as error:
        return asked | {"error": str(error)}
    with closing(source):
        try:
            frame = source.read()
        except SourceError as error:
            return asked | {"error": str(error), "details": source.details}
        assert frame is not None
        if pixel_format is None:
            cv2.imwrite(str(OUT / f"{pattern}.png"), frame.pixels)
        return asked | {
            "rgb": bars(frame, pattern),
            "shape": list(frame.pixels.shape),
            "color": frame.color,
            "timestamps": source.timestamps,
            "age_ns": frame.arrived_ns - frame.captured_ns,
            "details": source.details,
        }
