"""A card in a place before the camera: where it is, and what the sensor makes of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.tensors import F32, U8

SCENE_H, SCENE_W = 480, 640
TEXTURE = 256  # side of a card's own picture, in pixels
FOCAL = 700.0  # of the camera, in pixels: about 49 degrees across 640
LIGHT_ONE = 180  # the byte of the light map that leaves a pixel as it is
NOISE_PATTERNS = 64  # down and across
NOISE_STD = 32.0  # of the patterns, in levels


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a card is: its centre and height in pixels, its rotations in degrees.

    `roll` turns it in the picture; `pitch` and `yaw` tilt it away from the camera.
    """

    x: float
    y: float
    size: float
    roll: float
    pitch: float
    yaw: float

    def toward(self, other: Pose, fraction: float) -> Pose:
        """Return the pose `fraction` of the way to `other`."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Pose(*(a + (b - a) * fraction for a, b in pairs))

    def corners(self, aspect: float) -> F32:
        """Return the card's corners in the scene, float32 [4, 2], clockwise from the top left.

        Args: aspect: the card's width divided by its height.
        """
        rotation = _rotation(*np.radians((self.roll, self.pitch, self.yaw)))
        card = np.array([[-aspect, -1, 0], [aspect, -1, 0], [aspect, 1, 0], [-aspect, 1, 0]])
        points = card * (self.size / 2) @ rotation.T
        scale = FOCAL / (FOCAL + points[:, 2:])
        return (points[:, :2] * scale + (self.x, self.y)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Blur:
    """Out of focus by a Gaussian of `sigma`, and moved across a box of `shake` (width, height)."""

    sigma: float
    shake: tuple[int, int]

    @property
    def reach(self) -> int:
        """How far a pixel spreads."""
        return int(np.ceil(4 * self.sigma)) + max(self.shake)

    def apply(self, picture: U8) -> U8:
        # Both are separable: a free kernel of this size would cost ten times as much.
        soft = cv2.GaussianBlur(picture, (0, 0), self.sigma)
        return as_bytes(soft if self.shake == (1, 1) else cv2.blur(soft, self.shake))


@dataclass(frozen=True, slots=True)
class Scene:
    """One card in one surrounding; only the pose is left to choose.

    `background`, `light`: uint8 [480, 640, 3] BGR, the background already lit and blurred.
    `card`: uint8 [256, 256, 4] BGR and coverage, the colours multiplied by the coverage.
    """

    background: U8
    light: U8
    card: U8
    aspect: float
    blur: Blur
    noise: float  # standard deviation, in levels

    def frame(self, pose: Pose, noise_at: tuple[int, int] = (0, 0)) -> U8:
        """Return a new picture, uint8 [480, 640, 3] BGR, of the card in `pose`.

        Args: noise_at: which of the patterns, [row, column] below 64, the sensor's noise has.
        """
        frame = self.background.copy()
        corners = pose.corners(self.aspect)
        margin = self.blur.reach
        left, top = np.maximum(np.floor(corners.min(0)).astype(int) - margin, 0)
        right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + margin, (SCENE_W, SCENE_H))
        # Only the card's surrounding rectangle is drawn: a frame costs two milliseconds or so.
        if left < right and top < bottom:
            target = frame[top:bottom, left:right]
            side = TEXTURE - 1
            texture = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
            matrix = cv2.getPerspectiveTransform(
                texture, corners - np.array([left, top], np.float32)
            )
            warped = cv2.warpPerspective(self.card, matrix, (right - left, bottom - top))
            warped = self.blur.apply(as_bytes(warped))
            uncovered = cv2.cvtColor(255 - warped[:, :, 3], cv2.COLOR_GRAY2BGR)
            light = self.light[top:bottom, left:right]
            lit = cv2.multiply(cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR), light, scale=1 / LIGHT_ONE)
            target[:] = cv2.add(cv2.multiply(target, uncovered, scale=1 / 255), lit)
        row, column = noise_at
        noise = _noise_tile()[row : row + SCENE_H, column : column + SCENE_W]
        weight = self.noise / NOISE_STD
        cv2.addWeighted(frame, 1, noise, weight, -128 * weight, dst=frame)
        return frame


@cache
def _noise_tile() -> U8:
    """Return Gaussian noise as bytes around 128; frames show different windows of it."""
    shape = (SCENE_H + NOISE_PATTERNS, SCENE_W + NOISE_PATTERNS, 3)
    noise = np.random.default_rng(0).normal(128, NOISE_STD, shape)
    return noise.clip(0, 255).astype(np.uint8)


def _rotation(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    cr, sr, cp, sp, cy, sy = (f(angle) for angle in (roll, pitch, yaw) for f in (np.cos, np.sin))
    in_picture = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    up_down = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    left_right = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rotation: NDArray[np.float64] = left_right @ up_down @ in_picture
    return rotation


def as_bytes(picture: object) -> U8:
    """Return a picture of cv2, whose stubs do not say what it holds, as what it is: bytes."""
    return np.asarray(picture).astype(np.uint8, copy=False)
