"""What is kept of a picture: enough to know it again, and how its bytes are spread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.images import Picture
from edge.preprocess import centre_window
from edge.tensors import F32, Array

SIDE = 16
# Bytes are counted on about so many pixels a side.
COUNTED_SIDE = 256
# A thumbnail that varies by less than one level of 255 is rounding alone.
LEVEL = 1 / 255


@dataclass(frozen=True, slots=True)
class Look:
    """One picture, or one tensor made of one.

    `digest`: of its values; `thumbnail`: float32 [256], the part that the model sees in gray, with
    mean 0 and length 1 (all 0 where there is nothing to see), so that brightness, contrast and
    normalization do not matter; `bytes_near_ends`, `bytes_between`, `bytes_black`: the shares of 1
    to 7 and 248 to 254, of 8 to 247, and of 0, all 0.0 for tensors.
    """

    digest: bytes
    thumbnail: F32
    bytes_near_ends: float = 0.0
    bytes_between: float = 0.0
    bytes_black: float = 0.0


def look_at(picture: Picture, input_hw: tuple[int, int], resize: int | None) -> Look:
    """Look at a picture, of which a model of `input_hw` sees what `resize` leaves."""
    pixels = picture.pixels
    window = centre_window((pixels.shape[0], pixels.shape[1]), input_hw, resize)
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    step = max(1, min(pixels.shape[:2]) // COUNTED_SIDE)
    sample = pixels[::step, ::step]
    between = float(((sample >= 8) & (sample <= 247)).mean())
    black, white = float((sample == 0).mean()), float((sample == 255).mean())
    thumbnail = _thumbnail(pixels[rows, columns], LEVEL * 255)
    return Look(_digest(pixels), thumbnail, 1.0 - between - black - white, between, black)


def look_at_tensor(tensor: F32) -> Look:
    """Look at what the model takes: float32 [H, W, C]."""
    return Look(_digest(tensor), _thumbnail(tensor, LEVEL * float(np.ptp(tensor))))


def _digest(values: Array) -> bytes:
    contiguous = np.ascontiguousarray(values)
    return hashlib.sha256(contiguous.data).digest() + str(values.shape).encode()


def _thumbnail(pixels: Array, level: float) -> F32:
    """Return the thumbnail of [H, W] or [H, W, C]; all 0 where it varies by less than `level`."""
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    gray = small.mean(axis=2).ravel() if small.ndim == 3 else small.ravel()
    gray = gray - gray.mean()
    if float(gray.std()) <= level:
        return np.zeros(SIDE * SIDE, np.float32)
    return np.asarray(gray / np.linalg.norm(gray), np.float32)
