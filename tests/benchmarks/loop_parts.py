"""Pictures from memory, and a model that takes no time."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import cv2
import numpy as np

from edge.backends.base import ModelSpec
from edge.preprocess import PreprocessSpec, ideal_short_side
from edge.sources import open_source
from edge.sources.base import Frame, Timestamps
from edge.tensors import U8, Array, TensorSpec

SIZE = (640, 480)


class MemorySource:
    """Gives pictures from memory, in turn, so many times; calls `on_read` before each."""

    name = "memory"
    is_live = False
    timestamps: Timestamps = "arrival"
    broken_count = 0

    def __init__(
        self, pictures: list[U8], count: int, on_read: Callable[[int], None] = lambda _: None
    ) -> None:
        self._pictures = pictures
        self._count = count
        self._on_read = on_read
        self._given = 0

    def read(self) -> Frame | None:
        if self._given == self._count:
            return None
        self._on_read(self._given)
        now_ns = time.monotonic_ns()
        pixels = self._pictures[self._given % len(self._pictures)]
        frame = Frame(pixels, "bgr", self._given, now_ns, now_ns)
        self._given += 1
        return frame

    def close(self) -> None:
        pass


class StubBackend:
    """A model that takes no time: what is left is the loop."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._input: Array = np.zeros(spec.input.shape, spec.input.dtype)
        self._scores: Array = np.arange(spec.classes).astype(spec.output.dtype)

    def input_view(self) -> Array:
        return self._input

    def run(self) -> Array:
        return self._scores

    def close(self) -> None:
        pass


def synthetic_pictures(count: int) -> list[U8]:
    """Return smooth noise, uint8 [480, 640, 3]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return [np.asarray(cv2.GaussianBlur(picture, (0, 0), 4), np.uint8) for picture in noise]


def pictures_of(source_text: str, count: int) -> list[U8]:
    """Return the first frames of a source, brought to 640x480."""
    source = open_source(source_text)
    try:
        frames = list(islice(iter(source.read, None), count))
    finally:
        source.close()
    return [np.asarray(cv2.resize(frame.pixels, SIZE), np.uint8) for frame in frames]


def scaled_by_the_camera(
    pictures: list[U8], preprocess: PreprocessSpec, tensor: TensorSpec
) -> list[U8]:
    """Return them as a camera gives them that is asked for what the model needs."""
    short = ideal_short_side(preprocess, tensor)
    if short is None:
        return pictures
    size = (round(short * SIZE[0] / SIZE[1]), short)
    return [np.asarray(cv2.resize(picture, size), np.uint8) for picture in pictures]
