"""Encoded pictures, as files hold them and as cameras send them."""

from __future__ import annotations

import re

import cv2
import numpy as np

from edge.tensors import U8

_JPEG = b"\xff\xd8"
# What begins a segment, or ends the picture: no byte of a scan (0x00), no restart in it (0xd0 to
# 0xd7), no mark without a length (0x01, 0xd8), and of several 0xff the last.
_JPEG_MARK = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_JPEG_END = b"\xd9"


def decode(data: bytes) -> U8 | None:
    """Return a picture as uint8 [H, W, 3] in B, G, R order, or None where it is broken.

    Broken is: no picture, cut off, or more pixels than `edge` lets OpenCV decode.
    """
    if not data or (data.startswith(_JPEG) and _is_cut_jpeg(data)):
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    # imdecode gives None for what it cannot decode, though its annotation does not say so.
    return None if pixels is None else np.asarray(pixels, np.uint8)


def _is_cut_jpeg(data: bytes) -> bool:
    # The decoder fills what is missing with grey and does not say so. Segments are passed over by
    # their lengths, as they may hold other pictures; what lies behind the end is not looked at,
    # where phones put whole films.
    at = len(_JPEG)
    while mark := _JPEG_MARK.search(data, at):
        if mark[1] == _JPEG_END:
            return False
        at = mark.end() + int.from_bytes(data[mark.end() : mark.end() + 2])
    return True
