"""The way of a frame into the model's input: on the loop's thread, or ahead of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import cv2
import numpy as np

from edge.backends.base import Backend
from edge.preprocess import Preprocessor, PreprocessSpec
from edge.sources.base import Frame
from edge.tensors import Array


class Feeder:
    """Fills a model's input tensor from frames.

    Ahead, the capture thread makes the tensor of a frame while the model still runs on the one
    before, and all that the loop pays is a copy. Otherwise the loop's thread writes straight into
    the model's own input. Ahead needs a core that the inference leaves free: where it has all of
    them, both would only take turns, and frames be prepared that a newer one replaces.
    """

    def __init__(
        self, spec: PreprocessSpec, backend: Backend, *, is_ahead: bool | None = None
    ) -> None:
        """Args: is_ahead: None: where there are more cores than threads of the inference.

        Raises: PreprocessError: the preprocessing does not go with the model's input.
        """
        # OpenCV would spread a resize over the cores: at a camera's 640x480 no faster, for a third
        # more processor time, and in the way of the inference.
        cv2.setNumThreads(1)
        self._preprocessor = Preprocessor(spec, backend.spec.input)
        self._backend = backend
        if is_ahead is None:
            is_ahead = len(os.sched_getaffinity(0)) > backend.spec.threads
        self.is_ahead = is_ahead
        self.prepare: Callable[[Frame], None] | None = self._prepare if is_ahead else None
        """What the capture thread is to do with each frame; None: nothing."""

    def feed(self, frame: Frame) -> int:
        """Bring one frame into the model's input, and return the ns that it took in all.

        Raises: PreprocessError: its pixels are no picture.
        """
        start_ns = time.monotonic_ns()
        # The view is not kept: the runtime will not run while someone holds its memory.
        if frame.tensor is None:
            self._preprocessor.run(frame.pixels, frame.color, self._backend.input_view())
        else:
            _copy(frame.tensor, self._backend.input_view())
        return time.monotonic_ns() - start_ns + frame.preprocess_ns

    def _prepare(self, frame: Frame) -> None:
        start_ns = time.monotonic_ns()
        # Made anew for each frame, as the frame itself is: it goes wherever the frame goes.
        tensor = np.empty(self._preprocessor.tensor.shape, self._preprocessor.tensor.dtype)
        self._preprocessor.run(frame.pixels, frame.color, tensor)
        frame.tensor = tensor
        frame.preprocess_ns = time.monotonic_ns() - start_ns


def _copy(tensor: Array, out: Array) -> None:
    # NumPy would let other threads in meanwhile, and then wait ten times as long as the copy takes
    # until they let go of the interpreter.
    out.reshape(-1).view(np.uint8).data[:] = tensor.reshape(-1).view(np.uint8).data
