"""What the loop is measured against: cameras that keep old frames, and loops as examples have them.

The examples of the runtimes and of picamera2 read, resize, bring to numbers, hand over, run and
sort, one after the other, in floats and in arrays made anew for each frame.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from edge.backends.base import Backend
from edge.preprocess import PreprocessSpec
from edge.sources.base import Frame, Source, Timestamps
from edge.tensors import U8, Array

TOP = 5


class QueueCamera:
    """A camera that takes a picture each `interval_ns`, and keeps those that nobody has read.

    With `buffers` it is a driver, which has no room for the newest when so many wait (OpenCV asks
    for four); without, a network stream, in whose sockets they all are kept. What waits when is
    worked out at each read, so that nothing else runs meanwhile.
    """

    name = "queue"
    is_live = True
    timestamps: Timestamps = "sensor"
    broken_count = 0

    def __init__(
        self, pictures: list[U8], interval_ns: int, duration_ns: int, buffers: int | None
    ) -> None:
        self._pictures = pictures
        self._interval_ns = interval_ns
        self._buffers = buffers
        self._start_ns = time.monotonic_ns()
        self._end_ns = self._start_ns + duration_ns
        self._waiting: deque[int] = deque()
        self._taken = 0

    def _moment_ns(self, number: int) -> int:
        return self._start_ns + number * self._interval_ns

    def read(self) -> Frame | None:
        now_ns = time.monotonic_ns()
        if now_ns >= self._end_ns:
            return None
        while self._moment_ns(self._taken) <= now_ns:
            if self._buffers is None or len(self._waiting) < self._buffers:
                self._waiting.append(self._taken)
            self._taken += 1
        if not self._waiting:
            time.sleep((self._moment_ns(self._taken) - now_ns) / 1e9)
            self._waiting.append(self._taken)
            self._taken += 1
        number = self._waiting.popleft()
        # A driver's frame is copied out of its buffer, as this one is.
        pixels = self._pictures[number % len(self._pictures)].copy()
        return Frame(pixels, "bgr", number, self._moment_ns(number), time.monotonic_ns())

    def close(self) -> None:
        pass


def example_loop(
    backend: Backend,
    spec: PreprocessSpec,
    source: Source,
    on_done: Callable[[Frame], None] = lambda _: None,
) -> int:
    """Classify as the examples do until the source ends; return how many frames that were."""
    infer = _infer(backend)
    layout, height, width, _ = backend.spec.input.image_geometry()
    tensor = backend.spec.input
    count = 0
    while (frame := source.read()) is not None:
        picture: Any = cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2RGB)
        picture = cv2.resize(picture, (width, height))
        values = (picture.astype(np.float32) / 255.0 - spec.mean) / spec.std
        if layout == "NCHW":
            values = values.transpose(2, 0, 1)
        values = np.expand_dims(values, axis=0)
        if tensor.is_quantized:
            limits = np.iinfo(tensor.dtype)
            values = np.round(values / tensor.scale + tensor.zero_point)
            values = np.clip(values, limits.min, limits.max)
        scores = np.squeeze(infer(values.astype(tensor.dtype)))
        best = scores.argsort()[-TOP:][::-1]
        assert len(best) == TOP
        on_done(frame)
        count += 1
    return count


def _infer(backend: Any) -> Callable[[Array], Array]:  # noqa: ANN401 - what lies under ours
    """Return the runtime's call as its own examples make it: arrays in, arrays out."""
    if hasattr(backend, "_interpreter"):
        interpreter = backend._interpreter
        [given] = interpreter.get_input_details()
        found = interpreter.get_output_details()[0]

        def run_litert(values: Array) -> Array:
            interpreter.set_tensor(given["index"], values)
            interpreter.invoke()
            scores: Array = interpreter.get_tensor(found["index"])
            return scores

        return run_litert
    session, name = backend._session, backend.spec.input.name

    def run_onnx(values: Array) -> Array:
        scores: Array = session.run(None, {name: values})[0]
        return scores

    return run_onnx


def bare_call(backend: Any) -> Callable[[], object]:  # noqa: ANN401 - what lies under ours
    """Return the runtime's inference and nothing else: its input is there, its output stays."""
    if hasattr(backend, "_interpreter"):
        invoke: Callable[[], object] = backend._interpreter.invoke
        return invoke
    session, binding = backend._session, backend._binding
    return lambda: session.run_with_iobinding(binding)
