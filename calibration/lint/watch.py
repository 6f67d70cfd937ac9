"""What is kept of a calibration set while it goes by, so that nothing is read twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from calibration.images import Picture, even_steps
from calibration.lint.look import Look, look_at, look_at_tensor
from calibration.lint.norm import COLOR_IMAGES
from calibration.lint.sample import Sample
from edge.preprocess import PreprocessSpec
from edge.tensors import F32, Array, TensorSpec


class Watch:
    """Looks at pictures, or at tensors, as they are calibrated on.

    `kept`: some of the inputs, float32 of `tensor.shape`, at even steps; `lows`, `highs`: [C], of
    all inputs; `top1`: how many the float model takes for each class.
    """

    def __init__(self, spec: PreprocessSpec, tensor: TensorSpec) -> None:
        layout, height, width, channels = tensor.image_geometry()
        self.spec = spec
        self.channel_axis = 1 if layout == "NCHW" else 3
        self.kept: list[F32] = []
        self.lows: Array = np.full(channels, np.inf)
        self.highs: Array = np.full(channels, -np.inf)
        self.top1: Counter[int] = Counter()
        self._calibration = Sample()
        self._evaluation = Sample()
        self._input_hw = (height, width)

    @property
    def looks(self) -> Mapping[str, Look]:
        """By name, of the calibration set; of a large one a sample."""
        return self._calibration.looks

    @property
    def evaluated(self) -> Mapping[str, Look]:
        """By name, of the evaluation set; of a large one a sample."""
        return self._evaluation.looks

    def picture(self, picture: Picture) -> None:
        """Look at a picture of the calibration set."""
        self._calibration.add({picture.name: self._look_at(picture)})

    def evaluation_picture(self, picture: Picture) -> None:
        """Look at a picture of the evaluation set."""
        self._evaluation.add({picture.name: self._look_at(picture)})

    def _look_at(self, picture: Picture) -> Look:
        return look_at(picture, self._input_hw, self.spec.resize)

    def inputs(
        self, inputs: Iterable[F32], count: int, *, are_given: bool, first: int = 0
    ) -> Iterator[F32]:
        """Pass the inputs from number `first` of `count` on through.

        `are_given`: as tensors, of which no picture is seen.
        """
        wanted = frozenset(even_steps(count, COLOR_IMAGES))
        for index, x in enumerate(inputs, first):
            if index in wanted:
                self.kept.append(x)
            if are_given:
                self._tensor(index, x)
            yield x

    def scores(self, scores: F32) -> None:
        """Note the float model's scores of one input."""
        if scores.size > 1:  # of one number there is no class
            self.top1[int(scores.argmax())] += 1

    def add(self, other: Watch) -> None:
        """Take what another has seen of the calibration set behind what this one has."""
        self._calibration.add(other.looks)
        self.kept += other.kept
        self.lows = np.minimum(self.lows, other.lows)
        self.highs = np.maximum(self.highs, other.highs)
        self.top1 += other.top1

    def _tensor(self, index: int, x: F32) -> None:
        pixels = np.ascontiguousarray(np.moveaxis(x[0], self.channel_axis - 1, 2))
        self._calibration.add({f"tensor {index}": look_at_tensor(pixels)})
        self.lows = np.minimum(self.lows, pixels.min(axis=(0, 1)))
        self.highs = np.maximum(self.highs, pixels.max(axis=(0, 1)))
