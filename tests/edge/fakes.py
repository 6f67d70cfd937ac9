"""Stand-ins for the parts of the loop that need hardware or a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np

from edge.backends.base import ModelSpec
from edge.card import ModelCard
from edge.sources.base import Frame, Timestamps
from edge.tensors import F32, U8, Array, TensorSpec

CLASSES = 3
Item: TypeAlias = U8 | Exception | Callable[[], object]


def model_spec(card: ModelCard | None = None, *, classes: int = CLASSES) -> ModelSpec:
    return ModelSpec(
        path="fake.tflite",
        runtime="fake 1.0",
        input=TensorSpec("image", (1, 4, 4, 3), "float32"),
        output=TensorSpec("scores", (1, classes), "float32"),
        card=card,
        sha256="ab" * 32,
        threads=1,
    )


class MeanBackend:
    """Gives the mean of each channel; fails at the inference number `fails_at`."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.spec = model_spec()
        self.runs = 0
        self._input: F32 = np.zeros(self.spec.input.shape, np.float32)
        self._fails_at = fails_at

    def input_view(self) -> Array:
        return self._input

    def run(self) -> Array:
        self.runs += 1
        if self.runs == self._fails_at:
            raise RuntimeError("a bug in the runtime")
        mean: Array = self._input.mean(axis=(0, 1, 2))
        return mean

    def close(self) -> None:
        pass


def solid(channel: int) -> U8:
    """Return a picture in which one channel of R, G, B is bright: class `channel`."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., channel] = 200
    return pixels


class ListSource:
    """Gives pictures one after the other; what is an exception is raised, what is a call is made.

    A live one takes its pictures 1 ms before they arrive. With `then_waits` it stalls at the end
    until it is closed.
    """

    name = "list"
    broken_count = 0

    def __init__(
        self, items: Iterable[Item], *, is_live: bool = False, then_waits: bool = False
    ) -> None:
        self.is_live = is_live
        self.timestamps: Timestamps = "sensor" if is_live else "arrival"
        self.given = 0
        self.closed = threading.Event()
        self._then_waits = then_waits
        self._items: Iterator[Item] = iter(items)

    def read(self) -> Frame | None:
        for item in self._items:
            if isinstance(item, Exception):
                raise item
            if not isinstance(item, np.ndarray):
                item()
                continue
            arrived_ns = time.monotonic_ns()
            captured_ns = arrived_ns - 10**6 if self.is_live else arrived_ns
            frame = Frame(item, "rgb", self.given, captured_ns, arrived_ns, f"{self.given}.png")
            self.given += 1
            return frame
        if self._then_waits:
            self.closed.wait()
        return None

    def close(self) -> None:
        self.closed.set()
