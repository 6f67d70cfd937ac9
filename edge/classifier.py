"""A model from a frame to named classes: preprocessing, inference, the k most probable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.backends.base import Backend, BackendError, ModelSpec
from edge.card import check_label_count, read_labels
from edge.errors import EdgeError
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import F32, Array, TensorSpec

# Outputs that add up to 1 this closely are probabilities; logits are not by accident.
SUM_TOLERANCE = 1e-3


class ClassifierError(EdgeError):
    """A model does not go with its labels or its preprocessing."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One class of the answer. `confidence` is a probability, 0 to 1."""

    index: int
    label: str
    confidence: float


class TopK:
    """Names the k most probable classes of an output. Belongs to one thread.

    Confidence is the output itself where that is a probability: integers of scale 1/256 that start
    at 0, as every quantized softmax gives them, or floats from 0 that add up to 1. Any other
    output is taken for logits, and confidence is their softmax over all classes. Equal scores keep
    the order of the classes.
    """

    def __init__(self, output: TensorSpec, labels: Sequence[str], k: int) -> None:
        """Args: labels: a name a class, or none; k: how many, at most the number of classes."""
        self._output = output
        classes = max(output.shape)
        self._labels = tuple(labels) or tuple(f"class {index}" for index in range(classes))
        self._k = min(k, classes)
        self._is_softmax = output.is_quantized and (
            output.scale == 1 / 256 and output.zero_point == np.iinfo(output.dtype).min
        )
        self._partitioned: Array = np.empty(classes, output.dtype)
        self._exponents: F32 = np.empty(classes, np.float32)

    def run(self, scores: Array) -> tuple[Guess, ...]:
        """Return the k best of `scores` (raw output [classes]), best first.

        Raises: BackendError: the model gave NaN or infinity.
        """
        # An inference leaves nothing of this in the caches: what counts is how little is called.
        if not self._output.is_quantized and not np.isfinite(scores.max()):
            raise BackendError(
                "the model's output is not finite; check its --preprocess, or convert it again"
            )
        self._partitioned[:] = scores
        self._partitioned.partition(len(scores) - self._k)
        candidates = (scores >= self._partitioned[-self._k]).nonzero()[0]
        order = (-scores[candidates].astype(np.float64)).argsort(kind="stable")
        best = candidates[order[: self._k]]
        confidences = self._confidences(scores, best).tolist()
        indices = best.tolist()
        return tuple(map(Guess, indices, map(self._labels.__getitem__, indices), confidences))

    def _confidences(self, scores: Array, best: Array) -> F32:
        if self._is_softmax or (not self._output.is_quantized and _is_distribution(scores)):
            return self._output.dequantize(scores[best])
        exponents = self._exponents
        np.subtract(scores, scores[best[0]], out=exponents, dtype=np.float32)
        exponents *= np.float32(self._output.scale)
        np.exp(exponents, out=exponents)
        confidences: F32 = exponents[best] / exponents.sum()
        return confidences


def _is_distribution(scores: Array) -> bool:
    in_range = scores.min() >= 0 and scores.max() <= 1 + SUM_TOLERANCE
    return bool(in_range and abs(scores.sum() - 1) < SUM_TOLERANCE)


def choose_labels(model: ModelSpec, path: Path | None) -> tuple[str, ...]:
    """Return the labels of the file `path`, else those of the model's card, else none.

    Raises: CardError: the file is no text of one label a line, or there are more or fewer than
        classes; OSError: it cannot be read.
    """
    if path is not None:
        labels, where = read_labels(path), str(path)
    else:
        labels, where = model.card.labels if model.card else (), f"the card of {model.path}"
    check_label_count(labels, model.classes, where)
    return labels


def choose_preprocess(model: ModelSpec, preset: str | None) -> PreprocessSpec:
    """Return the preprocessing of the model's card, or for a model without one the preset's.

    Raises: ClassifierError: the model has neither, or both.
    """
    if model.card is not None:
        if preset is not None:
            raise ClassifierError(
                f"{model.path} carries its preprocessing in its card; leave out --preprocess"
            )
        return model.card.preprocess
    if preset is None:
        raise ClassifierError(
            f"{model.path} carries no card, so how it wants its pictures is unknown; pass "
            f"--preprocess {'|'.join(PRESETS)} as it was trained, or convert it with edge-convert"
        )
    spec = PRESETS[preset]
    channels = model.input.image_geometry()[3]
    return spec if channels == spec.channels else spec.with_color("gray")


def warm_up(backend: Backend, runs: int) -> None:
    """Run the model on nothing, so that the first frame does not pay for what is made once."""
    for _ in range(runs):
        backend.input_view().fill(0)
        backend.run()
