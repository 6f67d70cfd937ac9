"""All images through all models, on one process or several; the result is the same to the bit."""

from __future__ import annotations

import multiprocessing
import signal
import statistics
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from calibration.dataset import image_files
from calibration.evaluation.chunks import Chunk, Evaluator, Outcome, Plan
from calibration.images import none_readable
from calibration.progress import Progress
from calibration.scores import EvaluationError, ScoringModel
from edge.errors import EdgeError
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


def measure(plan: Plan, images: dict[str, int], jobs: int, progress: Progress) -> Measured:
    """Run every model on every image.

    Args: images: the class of each, by name; jobs: how many processes.
    Raises: EdgeError: a model fails, no image can be read, or a process died; OSError.
    """
    chunks = list(_chunks(images))
    outcomes: list[Outcome] = []

    def each_image() -> Iterator[str]:
        for outcome in _outcomes(plan, chunks, jobs):
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


def _outcomes(plan: Plan, chunks: list[Chunk], jobs: int) -> Iterable[Outcome]:
    """Yield what became of each chunk, in order."""
    jobs = min(jobs, len(chunks))
    if jobs == 1:
        evaluator = Evaluator(plan)
        try:
            yield from map(evaluator.run, chunks)
        finally:
            evaluator.close()
        return
    # A forked process would inherit the runtimes' locks, but not their threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_leave_interrupts_to_the_parent)
    try:
        yield from pool.map(partial(_run_chunk, plan), chunks)
    except BrokenProcessPool as cause:
        raise EvaluationError(
            f"one of {jobs} processes died, as when memory runs out; take fewer --jobs"
        ) from cause
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# A process opens its models once.
_evaluator = lru_cache(maxsize=1)(Evaluator)


def _run_chunk(plan: Plan, chunk: Chunk) -> Outcome:
    try:
        return _evaluator(plan).run(chunk)
    except EdgeError as error:
        # Not every error of ours survives the way between processes; its message does.
        raise EvaluationError(str(error)) from None


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
