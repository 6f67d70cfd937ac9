"""The intervals of a summary as columns on one time axis, few enough to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.latency.read import LoggedInterval
from edge.latency.summary import Summary

F64: TypeAlias = NDArray[np.float64]
MAX_COLUMNS = 240


@dataclass(frozen=True, slots=True)
class Timeline:
    """Columns in order of time; runs follow each other without a gap.

    `start` and `end` are in `unit` since the first run began. Each column stands for `grouped`
    intervals at most.
    """

    start: F64
    end: F64
    unit: str
    grouped: int
    groups: tuple[tuple[LoggedInterval, ...], ...]

    def p50_ms(self, stage: str) -> F64:
        """Return the median of the intervals' medians; NaN where no frame was timed."""
        return self._figure(stage, lambda interval: interval.stages[stage].p50_ns, np.median)

    def p99_ms(self, stage: str) -> F64:
        """Return the highest of the intervals' p99; NaN where no frame was timed."""
        return self._figure(stage, lambda interval: interval.stages[stage].p99_ns, np.max)

    def per_second(self, count: Callable[[LoggedInterval], int]) -> F64:
        """Return frames a second; NaN where no time went by."""
        frames = np.array([sum(map(count, group)) for group in self.groups], np.float64)
        time_ns = [sum(i.end_ns - i.start_ns for i in group) for group in self.groups]
        time_s = np.array(time_ns, np.float64) / 1e9
        return np.divide(frames, time_s, out=np.full_like(frames, np.nan), where=time_s > 0)

    def temperature_c(self) -> F64:
        """Return the highest temperature; NaN where none is known."""
        known = ([i.temperature_c for i in g if i.temperature_c is not None] for g in self.groups)
        return np.array([max(values, default=np.nan) for values in known])

    def throttled(self) -> list[bool]:
        """Return whether the board was throttled in any interval of the column."""
        return [any(interval.throttled for interval in group) for group in self.groups]

    def _figure(
        self,
        stage: str,
        value_ns: Callable[[LoggedInterval], int],
        merge: Callable[[Sequence[int]], np.generic],
    ) -> F64:
        timed = ([value_ns(i) for i in g if i.stages[stage].count] for g in self.groups)
        return np.array([float(merge(values)) / 1e6 if values else np.nan for values in timed])


def timeline(summary: Summary) -> Timeline:
    """Return the columns of all runs; `summary` has at least one interval."""
    grouped = -(-len(summary.intervals) // MAX_COLUMNS)
    start: list[float] = []
    end: list[float] = []
    groups: list[tuple[LoggedInterval, ...]] = []
    offset_s = 0.0
    for run in summary.runs:
        for first in range(0, len(run.intervals), grouped):
            group = run.intervals[first : first + grouped]
            zero_ns = run.intervals[0].start_ns
            start.append(offset_s + (group[0].start_ns - zero_ns) / 1e9)
            end.append(offset_s + (group[-1].end_ns - zero_ns) / 1e9)
            groups.append(group)
        offset_s = end[-1] if end else 0.0
    unit, seconds = _unit(offset_s)
    return Timeline(
        np.array(start) / seconds, np.array(end) / seconds, unit, grouped, tuple(groups)
    )


def _unit(length_s: float) -> tuple[str, float]:
    for unit, seconds in (("s", 1.0), ("min", 60.0), ("h", 3600.0)):
        if length_s <= 180 * seconds:
            return unit, seconds
    return "d", 86400.0
