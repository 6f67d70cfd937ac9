"""Looks through a camera at a card of known colours, and says what it sees, as JSON.

    colours SOURCE [FORMAT]

With FORMAT, what the camera gives is taken for that: then the colours are wrong, and the lab must
say so.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from importlib.metadata import version

from edge.sources import open_source, pixel_formats
from edge.sources.base import Frame, details_of
from edge.tensors import U8
from tests.pi_lab.inside.virtual_camera import adapt

ROWS, COLUMNS = 2, 3
# Half the side of the part of a square that is looked at.
HALF = 20


def colours(frame: Frame) -> list[list[int]]:
    """Return R, G, B in the middle of each square of the card, row by row."""
    pixels: U8 = frame.pixels if frame.color == "rgb" else frame.pixels[:, :, ::-1]
    height, width = pixels.shape[:2]
    seen = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            y = height * (2 * row + 1) // (2 * ROWS)
            x = width * (2 * column + 1) // (2 * COLUMNS)
            middle = pixels[y - HALF : y + HALF, x - HALF : x + HALF]
            seen.append([round(float(value)) for value in middle.mean((0, 1))])
    return seen


def main(source_text: str, taken_for: str = "") -> None:
    adapt()
    import libcamera

    if taken_for:
        wrong = pixel_formats.FORMATS[taken_for]
        pixel_formats.FORMATS.update(dict.fromkeys(pixel_formats.FORMATS, wrong))
    with closing(open_source(source_text)) as source:
        frame = source.read()
        assert frame is not None
        seen = {
            "rgb": colours(frame),
            "details": details_of(source),
            "timestamps": source.timestamps,
            "versions": {
                "picamera2": version("picamera2"),
                "libcamera": libcamera.CameraManager.singleton().version,
                "python": sys.version.split()[0],
            },
        }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
