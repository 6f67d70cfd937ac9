"""What several logs say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from edge.latency.histogram import Histogram
from edge.latency.incidents import NOTHING, Incidents
from edge.latency.log_lines import LogError, RunHeader
from edge.latency.read import LatencyLog, LoggedInterval
from edge.latency.recorder import STAGES
from edge.latency.stats import StageStats
from edge.text import printable


@dataclass(frozen=True, slots=True)
class Run:
    """One run, put together from its parts (the rotated files of one log), in order of time.

    The `throttled` of its intervals is all that is known of each: the flags that were on at its
    end, and those that came and went since the end of the one before. `reason` is why the run
    ended, None where no summary was found. `missing_parts` counts the parts before the last given
    one that were not given.
    """

    header: RunHeader
    intervals: tuple[LoggedInterval, ...]
    reason: str | None
    missing_parts: int

    @property
    def was_killed(self) -> bool:
        """Whether the run has no summary: it was killed, or goes on."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one or several runs.

    Counts are of frames, as in `recorder.Interval`; `measured_ns` is the time that the intervals
    cover. `temperature_c` is (lowest, highest), `throttled_intervals` counts the intervals in which
    a flag was on; both are None where no interval knows, and `throttle_checks` counts those that
    do. `incidents` are those of all intervals; `unaccounted` is by how many frames processed and
    skipped differ from captured: more than 0 is a fault of the loop. `capture` and `age` count only
    the runs whose source knows when a frame was exposed; the others would mix in zeros.
    """

    runs: tuple[Run, ...]
    histograms: Mapping[str, Histogram]
    stages: Mapping[str, StageStats]
    captured: int
    processed: int
    skipped: int
    lost_intervals: int
    measured_ns: int
    temperature_c: tuple[float, float] | None
    throttle_checks: int
    throttled_intervals: int | None
    throttle_flags: tuple[str, ...]
    incidents: Incidents
    unaccounted: int
    problems: tuple[str, ...]

    @property
    def intervals(self) -> tuple[LoggedInterval, ...]:
        return tuple(interval for run in self.runs for interval in run.intervals)

    @property
    def frames_per_second(self) -> float:
        """Processed frames a second of measured time; 0 where nothing was measured."""
        return self.processed * 1e9 / self.measured_ns if self.measured_ns else 0.0

    @property
    def negative(self) -> int:
        """Durations below zero: the clocks of source and loop did not agree."""
        return sum(histogram.negative for histogram in self.histograms.values())

    @property
    def above(self) -> int:
        """Durations beyond what a histogram holds (24 h)."""
        return sum(histogram.above for histogram in self.histograms.values())

    @property
    def shown_stages(self) -> tuple[str, ...]:
        """The stages that at least one run knows."""
        known = {stage for run in self.runs for stage in _known_stages(run.header)}
        return tuple(stage for stage in STAGES if stage in known)


def summarize(logs: Sequence[LatencyLog]) -> Summary:
    """Merge `logs`, without loss: histograms are added, not averaged.

    Raises: LogError: `logs` is empty, or one file was given twice.
    """
    if not logs:
        raise LogError("no latency log was given; give at least one")
    runs = tuple(_join(parts) for parts in _by_run(logs))
    histograms = {stage: Histogram() for stage in STAGES}
    for log in logs:
        for stage in _known_stages(log.run):
            if stage in log.packed:
                histograms[stage].add(log.packed[stage])
    intervals = [interval for run in runs for interval in run.intervals]
    warm = [i.temperature_c for i in intervals if i.temperature_c is not None]
    flags = [i.throttled for i in intervals if i.throttled is not None]
    return Summary(
        runs=runs,
        histograms=histograms,
        stages={stage: StageStats.of(histogram) for stage, histogram in histograms.items()},
        captured=sum(i.captured for i in intervals),
        processed=sum(i.processed for i in intervals),
        skipped=sum(i.skipped for i in intervals),
        lost_intervals=sum(i.lost for i in intervals) + sum(log.lost for log in logs),
        measured_ns=sum(i.end_ns - i.start_ns for i in intervals),
        temperature_c=(min(warm), max(warm)) if warm else None,
        throttle_checks=len(flags),
        throttled_intervals=sum(map(bool, flags)) if flags else None,
        throttle_flags=tuple(sorted({flag for on in flags for flag in on})),
        incidents=reduce(Incidents.merged, (i.incidents for i in intervals), NOTHING),
        unaccounted=sum(abs(i.captured - i.processed - i.skipped) for i in intervals),
        problems=tuple(
            f"{printable(str(log.path))}: {problem}" for log in logs for problem in log.problems
        ),
    )


def _known_stages(header: RunHeader) -> tuple[str, ...]:
    """Return the stages that mean something: without a time of exposure `age` is `total`."""
    unknown = ("capture", "age") if header.timestamps == "arrival" else ()
    return tuple(stage for stage in STAGES if stage not in unknown)


def _by_run(logs: Sequence[LatencyLog]) -> list[list[LatencyLog]]:
    """Return the logs of each run, in order of their parts."""
    # Headers cannot be keys, and of thousands not each can be held against each.
    started: dict[tuple[str, int], list[list[LatencyLog]]] = {}
    for log in sorted(logs, key=lambda log: log.part):
        runs = started.setdefault((log.run.started, log.run.started_ns), [])
        parts = next((parts for parts in runs if parts[0].run == log.run), None)
        if parts is None:
            runs.append([log])
        elif parts[-1].part == log.part:
            raise LogError(f"{log.path} and {parts[-1].path} are the same log; give it once")
        else:
            parts.append(log)
    every = [parts for runs in started.values() for parts in runs]
    return sorted(every, key=lambda parts: parts[0].run.started)


def _join(parts: Sequence[LatencyLog]) -> Run:
    intervals = _with_flags_between([i for log in parts for i in log.intervals])
    reason = next((log.reason for log in parts if log.reason is not None), None)
    return Run(parts[0].run, intervals, reason, missing_parts=parts[-1].part - len(parts))


def _with_flags_between(intervals: Sequence[LoggedInterval]) -> tuple[LoggedInterval, ...]:
    """Return the intervals, each with the flags that came and went since the end of the one before.

    What was on before the first end may be of another run.
    """
    known: tuple[str, ...] | None = None
    whole = []
    for interval in intervals:
        since_boot, now = interval.throttled_since_boot, interval.throttled or ()
        new: tuple[str, ...] = ()
        if since_boot is not None:
            if known is not None:
                new = tuple(flag for flag in since_boot if flag not in (*known, *now))
            known = since_boot
        whole.append(replace(interval, throttled=now + new) if new else interval)
    return tuple(whole)
