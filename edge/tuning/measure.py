"""Time a model in several ways of running it, and pick one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge.backends.base import OpenedModel

BUDGET_NS = 1_500_000_000
# Of slow models that is too little to say anything; they get this many times as long.
LIMIT = 4
# How long one candidate runs before it is the next one's turn, so that what slows the machine down
# for a moment meets all of them.
TURN_NS = 25_000_000
LEAST_RUNS = 10
# What more threads, or another file, must come down to: a tenth is more than two runs of the same
# differ by on a quiet machine, and a core that stays free is worth that much.
CLEARLY = 0.9
# On a quiet machine a good choice has hardly a frame that takes half as long again as most.
CALM = 1.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of running a model."""

    path: Path
    threads: int


@dataclass(frozen=True, slots=True)
class Measured:
    """How long the inferences of a candidate took: median, and 99th percentile (nearest rank)."""

    candidate: Candidate
    p50_ns: int
    p99_ns: int

    @property
    def is_calm(self) -> bool:
        """Whether the machine was quiet enough for this to be true tomorrow."""
        return self.p99_ns <= CALM * self.p50_ns


def measure(
    candidates: Sequence[Candidate],
    open_candidate: Callable[[Candidate], OpenedModel | None],
    *,
    budget_ns: int = BUDGET_NS,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[list[Measured], dict[Candidate, OpenedModel]]:
    """Run the candidates in turns until `budget_ns`, which counts from now, is used up.

    Those that did not run ten times by then may go on, up to four times the budget; that is gone
    over by at most one opening or two inferences. Returns what was measured, in the order given,
    without those that still ran less often; and all that were opened, to be closed.

    Args: open_candidate: gives None for one that is to be left out.
    Raises: as `open_candidate`, and what a model's inference raises; then nothing is left open.
    """
    end_ns = clock() + budget_ns
    limit_ns = end_ns + (LIMIT - 1) * budget_ns
    opened: dict[Candidate, OpenedModel] = {}
    times_ns: dict[Candidate, list[int]] = {}
    try:
        for candidate in candidates:
            if clock() >= end_ns:
                break
            model = open_candidate(candidate)
            if model is not None:
                opened[candidate], times_ns[candidate] = model, []
        while opened:
            short = min(map(len, times_ns.values())) < LEAST_RUNS
            turns_end_ns = limit_ns if short else end_ns
            if clock() >= turns_end_ns:
                break
            for candidate, model in opened.items():
                times_ns[candidate] += _turn(model, turns_end_ns, clock)
    except BaseException:
        for model in opened.values():
            model.close()
        raise
    measured = [
        Measured(candidate, *map(int, np.percentile(times, (50, 99), method="inverted_cdf")))
        for candidate, times in times_ns.items()
        if len(times) >= LEAST_RUNS
    ]
    return measured, opened


def _turn(model: OpenedModel, end_ns: int, clock: Callable[[], int]) -> list[int]:
    """Return the ns of each inference of one turn; none is begun after `end_ns`."""
    if clock() >= end_ns:
        return []
    model.run()  # brings it into the caches, and lets the threads of the one before go to sleep
    stamps_ns = [clock()]
    turn_end_ns = min(stamps_ns[0] + TURN_NS, end_ns)
    while True:
        model.run()
        stamps_ns.append(clock())
        if stamps_ns[-1] >= turn_end_ns:
            return [after - before for before, after in pairwise(stamps_ns)]


def pick(measured: Sequence[Measured]) -> Measured:
    """Return the first of `measured`, or a later one that is clearly better.

    Better is: both its 99th percentile and its median are at most nine tenths of the best's so
    far. By the mean alone, four threads on a Pi win, and their slow frames take twice as long as
    with two.
    """
    best, *others = measured
    for other in others:
        if other.p99_ns <= CLEARLY * best.p99_ns and other.p50_ns <= CLEARLY * best.p50_ns:
            best = other
    return best
