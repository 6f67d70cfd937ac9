"""The clock is a number that fake models move on: every figure is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import cycle
from pathlib import Path

import pytest

from edge.backends.base import BackendError
from edge.tensors import F32, Array
from edge.tuning.measure import Candidate, Measured, measure, pick
from tests.edge.fakes import MeanBackend

MS = 1_000_000
SECOND = 1000 * MS


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


class Timed(MeanBackend):
    """A model whose inferences take these times, in turn, over and over."""

    def __init__(self, clock: Clock, times_ms: Iterable[float]) -> None:
        super().__init__()
        self._clock = clock
        self._times_ms = cycle(times_ms)
        self.is_open = True

    def run(self) -> Array:
        self._clock.now_ns += round(next(self._times_ms) * MS)
        return super().run()

    def run_all(self) -> dict[str, F32]:
        raise NotImplementedError

    def kernels(self) -> str:
        raise NotImplementedError

    def close(self) -> None:
        self.is_open = False


class Bench:
    """Candidates of 1, 2, ... threads whose inferences take `times_ms[0]`, `[1]`, ..."""

    def __init__(self, *times_ms: Iterable[float], opening_ms: float = 0) -> None:
        self.clock = Clock()
        self.models = [Timed(self.clock, times) for times in times_ms]
        self.candidates = [Candidate(Path("a"), n + 1) for n in range(len(times_ms))]
        self.opening_ms = opening_ms

    def open(self, candidate: Candidate) -> Timed:
        self.clock.now_ns += round(self.opening_ms * MS)
        return self.models[candidate.threads - 1]

    def measure(
        self,
        budget_ns: int = SECOND,
        open_candidate: Callable[[Candidate], Timed | None] | None = None,
    ) -> list[Measured]:
        open_candidate = open_candidate or self.open
        return measure(self.candidates, open_candidate, budget_ns=budget_ns, clock=self.clock)[0]


def test_median_and_99th_percentile_of_each() -> None:
    spiky = [10.0] * 45 + [30.0] * 5
    measured = Bench([4.0], spiky).measure(8 * SECOND)
    assert [(one.p50_ns, one.p99_ns) for one in measured] == [
        (4 * MS, 4 * MS),
        (10 * MS, 30 * MS),
    ]
    assert [one.is_calm for one in measured] == [True, False]


def test_all_have_the_same_share_of_the_time() -> None:
    bench = Bench([5.0], [5.0], [5.0])
    bench.measure()
    assert 0.9 * SECOND < bench.clock.now_ns < 1.1 * SECOND
    runs = [model.runs for model in bench.models]
    assert max(runs) - min(runs) <= 7


def test_slow_models_get_more_time_but_not_without_end() -> None:
    bench = Bench([50.0], [40.0])
    assert len(bench.measure()) == 2
    assert SECOND < bench.clock.now_ns < 4 * SECOND
    too_slow = Bench([300.0], [300.0])
    assert too_slow.measure() == []
    assert too_slow.clock.now_ns <= 4 * SECOND + 600 * MS


def test_what_cannot_be_opened_in_time_is_left_out() -> None:
    bench = Bench([5.0], [1.0], [1.0], opening_ms=600)
    assert [one.candidate.threads for one in bench.measure()] == [1, 2]


def test_what_is_refused_is_left_out_and_nothing_at_all_is_no_loop() -> None:
    bench = Bench([5.0], [1.0])
    measured = bench.measure(open_candidate=lambda c: None if c.threads == 1 else bench.open(c))
    assert [one.candidate.threads for one in measured] == [2]
    assert bench.measure(open_candidate=lambda _: None) == []


def test_an_error_leaves_nothing_open() -> None:
    bench = Bench([5.0], [1.0])

    def fail(candidate: Candidate) -> Timed:
        if candidate.threads == 2:
            raise BackendError("damaged")
        return bench.open(candidate)

    with pytest.raises(BackendError):
        bench.measure(open_candidate=fail)
    assert not bench.models[0].is_open


@pytest.mark.parametrize(
    ("figures_ms", "picked"),
    [
        # Each clearly better than the one before; a tenth is just enough, less is not.
        ([(100, 110), (60, 70), (40, 50)], 3),
        ([(100, 110), (90, 99)], 2),
        ([(100, 110), (90, 100)], 1),
        ([(100, 110), (91, 99)], 1),
        # Four threads as they are on a Pi: the fastest on average, with spikes.
        ([(120, 122), (72, 73), (65, 80), (60, 128)], 2),
        # No step is worth it, but all together are.
        ([(100, 100), (94, 94), (88, 88)], 3),
    ],
)
def test_fewer_threads_unless_more_are_clearly_better(
    figures_ms: list[tuple[int, int]], picked: int
) -> None:
    measured = [
        Measured(Candidate(Path("a"), n + 1), p50 * MS, p99 * MS)
        for n, (p50, p99) in enumerate(figures_ms)
    ]
    assert pick(measured).candidate.threads == picked
