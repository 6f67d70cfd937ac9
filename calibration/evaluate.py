"""What opened models make of pictures: accuracy, distance from the float model, time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from calibration.images import ImageSet, Picture
from calibration.labelled import LabelledSet
from calibration.metrics import agreement, centred_energies, decibels, ranks
from calibration.scores import EvaluationError, ScoringModel
from edge.backends.base import Backend
from edge.preprocess import PreprocessSpec
from edge.tensors import F32

TOP = 5
# Models run beside each other, since a runtime lets go of Python while it computes; how long each
# takes is measured afterwards, one at a time, in turn.
WORKERS = 2
TIMED_ROUNDS = 9
# A picture, or a tensor made of one, and its class where that is known.
Item: TypeAlias = tuple[Picture | F32, int | None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on one set of pictures.

    `runtime` names the runtime and its version; `images` were seen, `broken` could not be read.
    `top1`, `top5`: shares of the images, 0 to 1, None where no class is known. `agreement` (share
    of the images, 0 to 1) and `sqnr_db` (of the scores, each image's centred) are against the
    float model, None without one. `inference_ms`: the median of some inferences, alone.
    """

    runtime: str
    images: int
    broken: int
    inference_ms: float
    top1: float | None = None
    top5: float | None = None
    agreement: float | None = None
    sqnr_db: float | None = None


class _Model(ScoringModel):
    """One model and what it has scored so far; a few numbers an image, no scores."""

    def __init__(self, backend: Backend, preprocess: PreprocessSpec) -> None:
        super().__init__(backend, preprocess)
        self.ranks: list[int] = []
        self.agrees: list[float] = []
        self.signal = 0.0
        self.noise = 0.0
        self.inference_ns: list[int] = []

    def time_once(self) -> None:
        """Run once more on what the input holds, alone, and note how long it took."""
        start_ns = time.monotonic_ns()
        self.backend.run()
        self.inference_ns.append(time.monotonic_ns() - start_ns)

    def compare(self, reference: F32, scores: F32) -> None:
        self.agrees.append(agreement(reference, scores))
        signal, noise = centred_energies(reference, scores)
        self.signal += signal
        self.noise += noise

    def evaluation(self, images: int, broken: int) -> Evaluation:
        return Evaluation(
            runtime=self.backend.spec.runtime,
            images=images,
            broken=broken,
            inference_ms=statistics.median(self.inference_ns) / 1e6,
            top1=_share_below(self.ranks, 1),
            top5=_share_below(self.ranks, TOP),
            agreement=statistics.fmean(self.agrees) if self.agrees else None,
            sqnr_db=decibels(self.signal, self.noise) if self.agrees else None,
        )


def evaluate(
    backends: Mapping[str, Backend],
    images: ImageSet | LabelledSet | Iterable[F32],
    preprocess: PreprocessSpec,
    *,
    reference: str | None = None,
    watch: Callable[[Iterator[Item]], Iterable[Item]] = iter,
) -> dict[str, Evaluation]:
    """Run every model on every picture, decoded once, and return an `Evaluation` of each by name.

    Args: backends: opened models by name, which stay open (int8 ONNX on x86 is only what a board
        computes if opened with exact kernels); images: with or without classes, or preprocessed
        tensors, float32, in the reference's layout; preprocess: what all of them expect;
        reference: which one is the float model, compared with itself too; watch: passes the
        images through and may show how far they are.
    Raises: EvaluationError: the classes differ in number, or a score is not finite; DatasetError:
        not one picture can be read.
    """
    _check_classes(backends, images, reference)
    models = {name: _Model(backend, preprocess) for name, backend in backends.items()}
    seen = 0
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="evaluate") as pool:
        for image, true_class in watch(_with_class(images)):
            found = pool.map(partial(_Model.scores, image=image), models.values())
            scores = dict(zip(models, found, strict=True))
            seen += 1
            for name, model in models.items():
                if true_class is not None:
                    model.ranks.append(int(ranks(scores[name], np.array([true_class]))[0]))
                if reference is not None:
                    model.compare(scores[reference], scores[name])
    for _ in range(TIMED_ROUNDS):
        for model in models.values():
            model.time_once()
    pictures = images.images if isinstance(images, LabelledSet) else images
    broken = len(pictures.broken) if isinstance(pictures, ImageSet) else 0
    return {name: model.evaluation(seen, broken) for name, model in models.items()}


def _with_class(
    images: ImageSet | LabelledSet | Iterable[F32],
) -> Iterator[Item]:
    if isinstance(images, LabelledSet):
        yield from images
    else:
        for image in images:
            yield image, None


def _check_classes(backends: Mapping[str, Backend], images: object, reference: str | None) -> None:
    highest = max(images.classes.values()) if isinstance(images, LabelledSet) else 0
    for backend in backends.values():
        spec = backend.spec
        if highest >= spec.classes:
            raise EvaluationError(
                f"{spec.path} has {spec.classes} classes, but the images go up to class {highest}; "
                "give the images and labels that the model was trained for"
            )
        if reference is not None and spec.classes != backends[reference].spec.classes:
            raise EvaluationError(
                f"{spec.path} has {spec.classes} classes, but the float model "
                f"{backends[reference].spec.path} has {backends[reference].spec.classes}; give the "
                "model that it was converted from"
            )


def _share_below(ranks_: list[int], limit: int) -> float | None:
    return sum(rank < limit for rank in ranks_) / len(ranks_) if ranks_ else None
