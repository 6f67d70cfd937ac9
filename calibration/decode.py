"""From the bytes of an image file to pixels, with a bound on what a file may make us allocate."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from calibration.errors import CalibrationError
from edge.sources import folder
from edge.tensors import U8

MAX_PIXELS = 100_000_000
# Enough for the headers of a photograph, a colour profile and a preview among them.
HEADER_BYTES = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"


class BrokenImageError(CalibrationError):
    """One image cannot be read. Sets skip such images and count them."""


def read_image(path: Path) -> U8:
    """Return the picture in `path`: uint8 [H, W, 3] in the order blue, green, red.

    It is what the device reads of the same file. A photograph is turned as its EXIF orientation
    says, as a camera would see the scene. (OpenCV's imread and Ultralytics do so too; torchvision's
    ImageFolder and tf.image leave it lying.) Transparency is dropped, 16 bits become 8.
    Raises: BrokenImageError: it cannot be read, is no whole image, or has over 100 million pixels.
    """
    try:
        with path.open("rb") as file:
            height, width = declared_size(file.read(HEADER_BYTES)) or (0, 0)
        if height * width > MAX_PIXELS:
            limit = f"at most {MAX_PIXELS // 10**6} million"
            raise BrokenImageError(f"{width} x {height} pixels; {limit}")
        pixels = folder.read_image(path)
    except OSError as cause:
        raise BrokenImageError(cause.strerror or str(cause)) from cause
    if pixels is None:
        raise BrokenImageError("not a whole image that OpenCV can decode")
    return pixels


def declared_size(data: bytes) -> tuple[int, int] | None:
    """Return (height, width) as the header of a PNG, JPEG or BMP says; None for anything else.

    A few bytes of these can ask for gigabytes. OpenCV's own limit is a thousand million pixels.
    """
    if data.startswith(_PNG) and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return height, width
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
        return abs(height), abs(width)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk the segments to the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        # C4, C8 and CC of the range C0 to CF are tables, not frames.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from writing about each broken image on stderr: they are counted instead."""
    log = cv2.utils.logging
    before = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(before)
