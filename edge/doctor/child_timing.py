"""Run in a process of its own: time models in turn on one thread, and print a JSON list."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.backends.base import OpenedModel

# For each model; the best of many short runs is what the kernels can do, whatever else runs.
BUDGET_NS = 700_000_000
LEAST_RUNS = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """A model's best time of one inference, or why it cannot be opened or run."""

    path: str
    error: str = ""
    runtime: str = ""
    kernels: str = ""
    quantized: bool = False
    best_ms: float = 0.0


def main(args: Sequence[str]) -> None:
    """Print a JSON list with one object a file, as `Timing`."""
    from edge.backends import open_model

    opened: dict[str, OpenedModel] = {}
    timings: dict[str, Timing] = {}
    for path in args:
        try:
            opened[path] = open_model(path, threads=1)
        except EdgeError as error:
            timings[path] = Timing(path, error=str(error))
    try:
        for path, best_ns in measure(opened).items():
            model = opened[path]
            card = model.spec.card
            quantized = model.spec.input.is_quantized or bool(card and card.quantization)
            timings[path] = Timing(
                path, "", model.spec.runtime, model.kernels(), quantized, best_ns / 1e6
            )
    except EdgeError as error:
        timings |= {path: Timing(path, error=str(error)) for path in opened}
    print(json.dumps([asdict(timings[path]) for path in args]))


def measure(models: dict[str, OpenedModel]) -> dict[str, int]:
    """Return the shortest inference of each in nanoseconds; they take turns, so that what slows
    the machine down for a moment slows all of them.
    """
    best: dict[str, int] = {}
    for model in models.values():
        model.run()  # the first one still prepares
    end_ns = time.monotonic_ns() + BUDGET_NS * len(models)
    rounds = 0
    while models and (rounds < LEAST_RUNS or time.monotonic_ns() < end_ns):
        for path, model in models.items():
            begin_ns = time.perf_counter_ns()
            model.run()
            took_ns = time.perf_counter_ns() - begin_ns
            best[path] = min(best.get(path, took_ns), took_ns)
        rounds += 1
    return best
