"""All images through all models, whoever does the work; the result is the same to the bit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration.dataset import image_files
from calibration.evaluation.chunks import Chunk, Outcome, Plan
from calibration.images import none_readable
from calibration.progress import Progress
from calibration.scores import ScoringModel
from calibration.spread import Spread
from edge.tensors import Array

# Small enough that a bar moves and little is lost, large enough that handing one over is cheap.
CHUNK_IMAGES = 32
TIMED_ROUNDS = 15
SHOWN_NOTES = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of every image. `rows`: ROW [models, images]; `inference_ms`: a model each."""

    names: tuple[str, ...]
    classes: Array
    rows: Array
    broken: dict[str, str]
    notes: tuple[str, ...]
    inference_ms: tuple[float, ...]


def measure(plan: Plan, images: dict[str, int], spread: Spread, progress: Progress) -> Measured:
    """Run every model on every image.

    Args: images: the class of each, by name; spread: who does the work.
    Raises: EdgeError: a model fails, no image can be read, or a process died; OSError.
    """
    outcomes: list[Outcome] = []

    def each_image() -> Iterator[str]:
        for outcome in spread.map(plan, _chunks(images)):
            outcomes.append(outcome)
            yield from (*outcome.names, *outcome.broken)

    for _ in progress(each_image(), len(images), "evaluating"):
        pass
    names = tuple(name for outcome in outcomes for name in outcome.names)
    broken = {name: why for outcome in outcomes for name, why in outcome.broken.items()}
    if not names:
        raise none_readable(plan.folder, len(images), broken)
    return Measured(
        names=names,
        classes=np.array([one for outcome in outcomes for one in outcome.classes]),
        rows=np.concatenate([outcome.rows for outcome in outcomes], axis=1),
        broken=broken,
        notes=_few([note for outcome in outcomes for note in outcome.notes]),
        inference_ms=_times_ms(plan, names[0]),
    )


def _few(notes: list[str]) -> tuple[str, ...]:
    """Return the first notes on the cache, and how many more there are."""
    more = len(notes) - SHOWN_NOTES
    return (*notes[:SHOWN_NOTES], *([f"the same holds for {more} more there"] if more > 0 else []))


def _chunks(images: dict[str, int]) -> Iterator[Chunk]:
    names, classes = tuple(images), tuple(images.values())
    for start in range(0, len(names), CHUNK_IMAGES):
        end = start + CHUNK_IMAGES
        yield Chunk(names[start:end], classes[start:end])


def _times_ms(plan: Plan, name: str) -> tuple[float, ...]:
    """Return each model's median inference on an image, alone, in turn with the others."""
    [picture] = image_files(plan.folder, plan.root, [plan.root / name])
    models = [ScoringModel(model.open(), model.preprocess) for model in plan.models]
    times_ns: list[list[int]] = [[] for _ in models]
    for model in models:
        model.scores(picture)
    for _ in range(TIMED_ROUNDS):
        for model, own in zip(models, times_ns, strict=True):
            start_ns = time.monotonic_ns()
            model.backend.run()
            own.append(time.monotonic_ns() - start_ns)
    for model in models:
        model.backend.close()
    return tuple(statistics.median(own) / 1e6 for own in times_ns)
