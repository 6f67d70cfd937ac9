"""Draws a handwritten digit on a card, or on a screen, as a camera in a hand would see it.

A stand-in for photographs that nobody had to take: paper, ink, clutter, perspective, light, blur
and noise are drawn at random, each from a range that an ordinary desk and a cheap camera show.
The demo's camera, the training data and the evaluation data all come from here.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge.sources.card_scene import (
    LIGHT_ONE,
    NOISE_PATTERNS,
    SCENE_H,
    SCENE_W,
    TEXTURE,
    Blur,
    Pose,
    Scene,
    as_bytes,
)
from edge.tensors import F32, U8

PIXEL = 14  # side of a scan's pixel in the map of ink
INK = 9 * PIXEL  # side of that map: 8 pixels, and a margin of half a pixel around them
UNSHARP = 1.2


class CardRenderer:
    """Draws scenes at random; the same seed draws the same scenes in the same order."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)

    def render(self, ink: F32) -> U8:
        """Return one picture, uint8 [480, 640, 3] BGR, of `ink` (`smooth_ink`) on a card.

        A third of the pictures went through JPEG, as network and USB cameras send them.
        """
        row, column = self._random.integers(0, NOISE_PATTERNS, 2)
        frame = self.scene(ink).frame(self.pose(), (int(row), int(column)))
        if self._chance(0.33):
            quality = int(self._random.integers(25, 90))
            _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
            frame = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return frame

    def pose(self) -> Pose:
        """Return a pose that has the digit within the central square of the scene."""
        size = float(np.exp(self._between(np.log(210), np.log(500))))
        free = max(0.0, SCENE_H / 2 - 0.46 * size)
        return Pose(
            x=SCENE_W / 2 + free * self._between(-0.85, 0.85),
            y=SCENE_H / 2 + free * self._between(-0.85, 0.85),
            size=size,
            roll=float(np.clip(self._random.normal(0, 8), -22, 22)),
            pitch=self._between(-28, 28),
            yaw=self._between(-28, 28),
        )

    def scene(self, ink: F32) -> Scene:
        """Return a card with `ink` (float32 [126, 126] of `smooth_ink`) in a new surrounding."""
        aspect = self._between(0.85, 1.4)
        gamma = self._between(0.75, 1.35)
        card = self._screen(ink, aspect) if self._chance(0.3) else self._paper(ink, aspect)
        blur = self._blur()
        light = self._light(gamma)
        # Drawn at half the size: what lies behind the card is further out of focus.
        small = blur.apply(_gamma(self._background(), gamma))
        background = cv2.resize(small, (SCENE_W, SCENE_H), interpolation=cv2.INTER_LINEAR)
        return Scene(
            background=as_bytes(cv2.multiply(background, light, scale=1 / LIGHT_ONE)),
            light=light,
            card=_cut_out(_gamma(card, gamma), self._between(0, 0.12)),
            aspect=aspect,
            blur=blur,
            noise=self._between(0.5, 9),
        )

    def _chance(self, probability: float) -> bool:
        return bool(self._random.random() < probability)

    def _between(self, low: float, high: float) -> float:
        return float(self._random.uniform(low, high))

    def _color(self, low: float, high: float, tint: float) -> F32:
        """Return BGR of a brightness from `low` to `high`; `tint` is the spread of its hue."""
        color = self._between(low, high) + self._random.normal(0, tint, 3)
        return np.clip(color, 0, 255).astype(np.float32)

    def _paper(self, ink: F32, aspect: float) -> U8:
        """A pen on a sheet: white, tinted or a coloured note; plain, ruled, squared or framed."""
        sheet = self._color(190, 250, 5) if self._chance(0.7) else self._color(165, 235, 22)
        grain = self._texture((32, 32), self._between(0, 5))
        paper = np.clip(sheet + grain[:, :, None], 0, 255).astype(np.uint8)
        self._rule(paper, sheet)
        # The pen is darker than the sheet by enough for a person to read it.
        pen = np.minimum(self._color(5, 90, 25), sheet - 75)
        return self._write(paper, ink, pen, aspect)

    def _rule(self, paper: U8, sheet: F32) -> None:
        line = tuple(float(v) for v in sheet - self._color(15, 60, 10))
        step = int(self._random.integers(18, 48))
        lined, squared, framed = self._random.random(3) < (0.3, 0.12, 0.15)
        for at in range(step, TEXTURE, step):
            if lined or squared:
                cv2.line(paper, (0, at), (TEXTURE, at), line, 1, cv2.LINE_AA)
            if squared:
                cv2.line(paper, (at, 0), (at, TEXTURE), line, 1, cv2.LINE_AA)
        if framed:
            inset = int(self._random.integers(4, 14))
            cv2.rectangle(paper, (inset, inset), (TEXTURE - inset, TEXTURE - inset), line, 2)

    def _screen(self, ink: F32, aspect: float) -> U8:
        """A display with a bezel: light on dark or dark on light, with a reflection."""
        dark, light = self._color(5, 70, 14), self._color(175, 250, 16)
        ground, pen = (dark, light) if self._chance(0.6) else (light, dark)
        picture = np.empty((TEXTURE, TEXTURE, 3), np.uint8)
        picture[:] = ground.astype(np.uint8)
        picture = self._write(picture, ink, pen, aspect)
        glare = self._ramp(TEXTURE, TEXTURE) * self._between(0, 45)
        picture = np.clip(picture + glare[:, :, None], 0, 255).astype(np.uint8)
        bezel = int(self._random.integers(4, 18))
        color = tuple(float(v) for v in self._color(5, 120, 6))
        cv2.rectangle(picture, (0, 0), (TEXTURE - 1, TEXTURE - 1), color, bezel)
        return picture

    def _write(self, card: U8, ink: F32, pen: F32, aspect: float) -> U8:
        """Put the ink on the card: its size, place, slant, width of stroke and blackness."""
        height = TEXTURE * self._between(0.68, 0.92)
        width = height / aspect * self._between(0.8, 1.1)
        slant = self._between(-0.18, 0.18) * width
        x = TEXTURE / 2 + self._between(-1, 1) * max(0.0, TEXTURE * 0.45 - width / 2)
        y = TEXTURE / 2 + self._between(-0.7, 0.7) * (TEXTURE * 0.48 - height / 2)
        here = np.array([[0, 0], [INK, 0], [0, INK]], np.float32)
        there = np.array([[0, 0], [width, 0], [-slant, height]], np.float32)
        there += (x - (width - slant) / 2, y - height / 2)
        placed = cv2.warpAffine(ink, cv2.getAffineTransform(here, there), (TEXTURE, TEXTURE))
        # A steep sigmoid makes strokes of a pen out of the 8x8 scan's grey; where it turns is how
        # broad the pen is.
        steep = self._between(8, 18)
        coverage = 1 / (1 + np.exp(-steep * (placed - self._between(0.43, 0.62))))
        coverage *= self._between(0.8, 1.0) * (1 + self._texture((12, 12), 0.06))
        coverage = np.clip(coverage, 0, 1)[:, :, None]
        return as_bytes(np.clip(card * (1 - coverage) + pen * coverage, 0, 255))

    def _texture(self, grid: tuple[int, int], strength: float) -> F32:
        """Return smooth noise, float32 [256, 256], of the given standard deviation."""
        coarse = self._random.normal(0, strength, grid).astype(np.float32)
        return _floats(cv2.resize(coarse, (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC))

    def _ramp(self, height: int, width: int) -> F32:
        """Return a gradient from 0 to 1 in a random direction, float32 [height, width]."""
        angle = self._between(0, 2 * np.pi)
        row = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        column = np.linspace(-1, 1, width, dtype=np.float32)[None]
        ramp = row * np.float32(np.sin(angle)) + column * np.float32(np.cos(angle))
        return _floats((ramp - ramp.min()) / np.ptp(ramp))

    def _light(self, gamma: float) -> U8:
        """Return the light map, uint8 [480, 640, 3]: exposure, colour, fall-off and shadows."""
        # The lowest and highest exposure that automatic exposure leaves.
        light = self._between(0.7, 1.25) * (1 - self._between(0, 0.5) * self._ramp(48, 64))
        if self._chance(0.4):  # the edge of a shadow, of a hand or a window frame
            edge = 1 / (1 + np.exp(-self._between(8, 60) * (self._ramp(48, 64) - 0.5)))
            light = light * (1 - self._between(0.2, 0.55) * edge)
        color = 1 + self._random.normal(0, 0.05, 3)
        coarse = (light[:, :, None] * color).clip(0.25, 1.4) ** gamma * LIGHT_ONE
        coarse = coarse.clip(0, 255).astype(np.uint8)
        return as_bytes(cv2.resize(coarse, (SCENE_W, SCENE_H), interpolation=cv2.INTER_LINEAR))

    def _blur(self) -> Blur:
        if not self._chance(0.3):
            return Blur(self._between(0.3, 3.2), (1, 1))
        length = int(self._random.integers(3, 18))
        return Blur(0.5, (length, 1) if self._chance(0.5) else (1, length))

    def _background(self) -> U8:
        """Return a desk, a wall or a floor with things on it, uint8 [240, 320, 3]."""
        h, w = SCENE_H // 2, SCENE_W // 2
        base = self._color(25, 225, 22)
        rows, columns = (int(v) for v in 2 ** self._random.integers(1, 8, 2))
        coarse = self._random.normal(0, self._between(2, 24), (rows, columns)).astype(np.float32)
        texture = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR)
        picture = as_bytes(np.clip(base + texture[:, :, None], 0, 255))
        for _ in range(self._random.poisson(7)):
            self._draw_object(picture)
        return picture

    def _draw_object(self, picture: U8) -> None:
        """Draw a box, a round thing, a cable or a scrap with lines of writing."""
        h, w = picture.shape[:2]
        color = tuple(float(v) for v in self._color(10, 245, 40))
        at = self._random.uniform((0, 0), (w, h))
        size = self._random.uniform(8, 80, 2)
        angle = self._between(0, 180)
        kind = self._random.integers(4)
        if kind == 1:
            axes = (int(size[0] / 2), int(size[1] / 2))
            centre = (int(at[0]), int(at[1]))
            cv2.ellipse(picture, centre, axes, angle, 0, 360, color, -1, cv2.LINE_AA)
        elif kind == 2:
            path = at + np.cumsum(self._random.normal(0, 30, (6, 2)), axis=0)
            thickness = int(self._random.integers(1, 6))
            cv2.polylines(picture, [path.astype(np.int32)], False, color, thickness, cv2.LINE_AA)
        else:
            box = cv2.boxPoints(((at[0], at[1]), (size[0], size[1]), angle))
            cv2.fillConvexPoly(picture, box.astype(np.int32), color, cv2.LINE_AA)
            if kind == 3:
                self._draw_lines(picture, _floats(box))

    def _draw_lines(self, picture: U8, box: F32) -> None:
        color = tuple(float(v) for v in self._color(10, 245, 20))
        for part in np.arange(0.15, 0.9, 0.15):
            ends = box[[0, 3]] * (1 - part) + box[[1, 2]] * part
            start, end = (tuple(int(v) for v in p) for p in ends)
            cv2.line(picture, start, end, color, 1, cv2.LINE_AA)


def smooth_ink(digit: F32) -> F32:
    """Return the ink of an 8x8 scan (0 to 16, as scikit-learn has it) as float32 [126, 126].

    The scan gets a margin of half a pixel, so that no stroke ends at the edge; about 0 to 1.
    """
    padded = np.pad(digit.astype(np.float32) / 16, 1)
    size = (10 * PIXEL, 10 * PIXEL)
    large = _floats(cv2.resize(padded, size, interpolation=cv2.INTER_CUBIC))
    # An unsharp mask about as wide as a pixel: without it broad pens fill the loops of an 8,
    # and fine ones break its strokes, until nobody could read it.
    large += UNSHARP * (large - _floats(cv2.GaussianBlur(large, (0, 0), 1.25 * PIXEL)))
    margin = PIXEL // 2
    return np.ascontiguousarray(large[margin:-margin, margin:-margin])


def _gamma(picture: U8, gamma: float) -> U8:
    table = (255 * (np.arange(256) / 255) ** gamma).round().astype(np.uint8)
    return as_bytes(cv2.LUT(picture, table))


def _cut_out(card: U8, corner: float) -> U8:
    """Return the card with its coverage: corners rounded by `corner` of its side."""
    radius = max(1, int(corner * TEXTURE))
    mask = np.zeros((TEXTURE, TEXTURE), np.uint8)
    low, high = radius + 1, TEXTURE - 2 - radius
    box = np.array([[low, low], [high, low], [high, high], [low, high]], np.int32)
    cv2.fillConvexPoly(mask, box, 255)
    cv2.polylines(mask, [box], True, 255, 2 * radius + 1)
    covered = cv2.multiply(card, cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR), scale=1 / 255)
    return np.dstack([covered, mask])


def _floats(picture: object) -> F32:
    return np.asarray(picture, np.float32)
