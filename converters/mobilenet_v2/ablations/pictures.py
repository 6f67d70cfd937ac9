"""Small pictures of digits: each scan bent, turned, moved and scaled, on noisy paper.

The cards that the bundled model reads are too much for networks as small as these: they name about
half of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from converters.mobilenet_v2.digits.rendering import bend
from edge.sources.card_renderer import INK, smooth_ink
from edge.sources.digit_cards import Digits
from edge.tensors import F32, U8


@dataclass(frozen=True, slots=True)
class Drawing:
    """From what ranges pictures are drawn.

    `sizes`: the side of the map of ink, in parts of the picture's; `place`: how far from the middle
    it may be, in the same; `turn_degrees`: standard deviation; `inks`: how dark, of 1; `noise`:
    standard deviation of a pixel, of the way from paper to the darkest ink.
    """

    sizes: tuple[float, float]
    place: float
    turn_degrees: float
    inks: tuple[float, float]
    noise: float


@dataclass(frozen=True, slots=True)
class Set:
    """`pictures`: uint8 [N, 3, side, side] RGB, those of each digit together; `classes`: [N]."""

    pictures: U8
    classes: NDArray[np.int64]


def drawn(
    digits: Digits, per_digit: int, seed: tuple[int, ...], side: int, drawing: Drawing
) -> Set:
    """Return `per_digit` pictures of each digit; the same seed draws the same."""
    pictures = np.empty((len(digits), per_digit, 3, side, side), np.uint8)
    for number, (scan, of_digit) in enumerate(zip(digits.scans, pictures, strict=True)):
        random = np.random.default_rng((*seed, number))
        ink = smooth_ink(scan)
        for picture in of_digit:
            picture[:] = _picture(ink, side, drawing, random)
    return Set(pictures.reshape(-1, 3, side, side), np.repeat(digits.classes, per_digit))


def _picture(ink: F32, side: int, drawing: Drawing, random: np.random.Generator) -> U8:
    """Return a picture in gray, uint8 [side, side], of `ink` (float32 [126, 126])."""
    scale = side / INK * random.uniform(*drawing.sizes)
    turn = random.normal(0, drawing.turn_degrees)
    place = cv2.getRotationMatrix2D((INK / 2, INK / 2), turn, scale)
    middle = side * (0.5 + random.uniform(-drawing.place, drawing.place, 2))
    place[:, 2] = place[:, 2] + middle - INK / 2
    # Four times as fine, then the mean: warpAffine alone takes single points of the ink.
    placed = cv2.warpAffine(bend(ink, random), 4 * place, (4 * side, 4 * side))
    coverage = cv2.resize(placed, (side, side), interpolation=cv2.INTER_AREA).clip(0, 1)
    noise = random.normal(0, drawing.noise, (side, side))
    gray = 1 - coverage * random.uniform(*drawing.inks) + noise
    picture: U8 = np.rint(255 * gray.clip(0, 1)).astype(np.uint8)
    return picture
