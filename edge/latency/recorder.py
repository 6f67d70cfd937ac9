"""Where the time of each frame goes, counted without slowing the loop that is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from edge.latency.histogram import I64, Histogram
from edge.latency.incidents import NOTHING, Incidents

STAGES = ("capture", "queue", "preprocess", "inference", "postprocess", "total", "age")
"""What is measured of each frame. `capture`: sensor to arrival; `queue`: arrival to start, or all
that a frame waited where its preprocessing did not lie directly before its inference; `total`:
arrival to label; `age`: sensor to label."""

STAMPS = ("captured", "arrived", "started", "preprocessed", "inferred", "done")
# Each stage is the time from one stamp to another.
_FROM = np.array([0, 1, 2, 3, 4, 1, 0])
_TO = np.array([1, 2, 3, 4, 5, 5, 5])


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened from `start_ns` to `end_ns` (of the recorder's monotonic clock).

    Of `captured` frames `processed` got a label; `skipped` were replaced by a newer one before they
    were looked at, or missed by the source itself, as it says by the frames' numbers.
    `incidents` are what was noticed in it; `interrupted` are the rows of `trace` that a pause or a
    suspend is part of.
    `histograms` has one for each of STAGES; they belong to the interval and do not change.
    `trace` is int64 [frames, 6], the stamps in the order of STAMPS; empty unless asked for.
    """

    start_ns: int
    end_ns: int
    captured: int
    processed: int
    skipped: int
    histograms: Mapping[str, Histogram]
    trace: I64
    incidents: Incidents = NOTHING
    interrupted: tuple[int, ...] = ()


class Recorder:
    """Takes six stamps a frame. Belongs to the loop's thread.

    Stamps go into an array made beforehand; when it is full, or when someone looks, it is folded
    into the histograms. Nothing grows with the number of frames, except the rows of `trace`,
    which leave with each interval.

    Args: trace: keep every frame's stamps; clock: gives ns, the clock of the stamps;
        capacity: frames held before they are folded.
    """

    def __init__(
        self,
        *,
        trace: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
        capacity: int = 1024,
    ) -> None:
        self._clock = clock
        self._stamps: I64 = np.zeros((capacity, len(STAMPS)), np.int64)
        self._held = 0
        self._trace: list[I64] | None = [] if trace else None
        self._run = {stage: Histogram() for stage in STAGES}
        self._run_counts = np.zeros(3, np.int64)
        self._run_incidents = NOTHING
        self._run_start_ns = clock()
        self._open_interval(self._run_start_ns)

    def start(self) -> None:
        """Let the run begin now, and not when the recorder was made. Call it before any frame."""
        self._run_start_ns = self._start_ns = self._clock()

    def record(
        self,
        captured_ns: int,
        arrived_ns: int,
        started_ns: int,
        preprocessed_ns: int,
        inferred_ns: int,
        done_ns: int,
    ) -> None:
        """Take the stamps of one frame that got its label."""
        self._stamps[self._held] = (
            captured_ns,
            arrived_ns,
            started_ns,
            preprocessed_ns,
            inferred_ns,
            done_ns,
        )
        self._held += 1
        if self._held == len(self._stamps):
            self._fold()

    def mark_interrupted(self) -> None:
        """Note that a pause or a suspend is part of the last frame's time."""
        if self._trace is not None:
            self._interrupted.append(self._processed + self._held - 1)

    def percentile(self, stage: str, percent: float) -> int:
        """Return a percentile, in ns, of the interval in progress; 0 where it has no frame."""
        self._fold()
        return self._histograms[stage].percentile(percent)

    def take_interval(
        self, captured: int, skipped: int, incidents: Incidents = NOTHING
    ) -> Interval:
        """Close the interval in progress, begin the next, and return the closed one.

        Args: captured, skipped: frames of this interval, by the capture thread's count;
            incidents: what befell it.
        """
        self._fold()
        end_ns = self._clock()
        interval = Interval(
            start_ns=self._start_ns,
            end_ns=end_ns,
            captured=captured,
            processed=self._processed,
            skipped=skipped,
            histograms=MappingProxyType(self._histograms),
            trace=np.concatenate(self._trace) if self._trace else _no_trace(),
            incidents=incidents,
            interrupted=tuple(self._interrupted),
        )
        for stage, histogram in self._histograms.items():
            self._run[stage].merge(histogram)
        self._run_counts += (captured, self._processed, skipped)
        self._run_incidents = self._run_incidents.merged(incidents)
        self._open_interval(end_ns)
        return interval

    def run(self) -> Interval:
        """Return the whole run up to the last interval taken, without traces."""
        captured, processed, skipped = map(int, self._run_counts)
        return Interval(
            start_ns=self._run_start_ns,
            end_ns=self._start_ns,
            captured=captured,
            processed=processed,
            skipped=skipped,
            histograms=MappingProxyType({s: h.copy() for s, h in self._run.items()}),
            trace=_no_trace(),
            incidents=self._run_incidents,
        )

    def _open_interval(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._processed = 0
        self._interrupted: list[int] = []
        self._histograms = {stage: Histogram() for stage in STAGES}
        if self._trace is not None:
            self._trace = []

    def _fold(self) -> None:
        stamps = self._stamps[: self._held]
        self._held = 0
        self._processed += len(stamps)
        if self._trace is not None and len(stamps):
            self._trace.append(stamps.copy())
        durations = stamps[:, _TO] - stamps[:, _FROM]
        for column, histogram in enumerate(self._histograms.values()):
            histogram.record_many(durations[:, column])


def _no_trace() -> I64:
    return np.empty((0, len(STAMPS)), np.int64)
