"""Pictures for tests, encoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import cv2
import numpy as np

from edge.tensors import U8


def smooth(height: int, width: int, seed: int = 0) -> U8:
    """Return uint8 [height, width, 3] that compresses well and has no two equal corners."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encode(suffix: str, pixels: U8, options: Sequence[int] = ()) -> bytes:
    return bytes(cv2.imencode(suffix, pixels, options)[1].tobytes())


def png_that_claims(height: int, width: int) -> bytes:
    """Return a small PNG whose header asks for `height` x `width` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
