"""Reading a latency log, whole or cut off anywhere, from anyone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from edge.latency import fields
from edge.latency.fields import (
    MAX_FRAMES,
    MAX_LINE_BYTES,
    MAX_NS,
    BadLineError,
    integer,
    parse,
)
from edge.latency.histogram import Histogram, HistogramError, Packed
from edge.latency.incidents import NOTHING, Incidents
from edge.latency.log_lines import FORMATS, LogError, RunHeader
from edge.latency.recorder import STAGES
from edge.latency.stats import StageStats

MAX_LINES = 500_000
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class LoggedInterval:
    """One interval of a log; the fields are those of `recorder.Interval`.

    `lost` is how many intervals before it could not be written. `temperature_c`, `throttled` (the
    flags that were on in the interval, as far as it was looked) and `throttled_since_boot` (those
    that had been on by its end) are None where the log does not know them. The figures of `stages`
    are computed from the logged histograms, not taken from beside them. A log of format 1 knows of
    no incidents.
    """

    start_ns: int
    end_ns: int
    captured: int
    processed: int
    skipped: int
    lost: int
    temperature_c: float | None
    throttled: tuple[str, ...] | None
    throttled_since_boot: tuple[str, ...] | None
    stages: Mapping[str, StageStats]
    incidents: Incidents = NOTHING


@dataclass(slots=True)
class LatencyLog:
    """What a file holds of one run.

    `packed` has the histograms, which are the sums over `intervals`. `reason` is why the run ended,
    None where the log has no summary: the run was killed, goes on, or continues in another part.
    `lost` is how many intervals before the summary could not be written. `problems` says, a
    sentence each, what could not be read.
    """

    path: Path
    run: RunHeader
    part: int
    intervals: list[LoggedInterval] = field(default_factory=list)
    packed: Mapping[str, Packed] = field(default_factory=dict)
    reason: str | None = None
    lost: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def histograms(self) -> dict[str, Histogram]:
        """The histograms by stage, in memory of their own (232 KiB each)."""
        histograms = {stage: Histogram() for stage in STAGES}
        for stage, packed in self.packed.items():
            histograms[stage].add(packed)
        return histograms


def read_runs(path: Path) -> list[LatencyLog]:
    """Return what a file holds of each of its runs, in order; there is at least one.

    Lines that cannot be read are problems of the run that they stand in, not errors; the rest
    counts. Raises: LogError: `path` does not begin with a run line, so it is no latency log;
    OSError.
    """
    with path.open("rb") as file:
        reading = _Reading(_begin(path, file.readline(MAX_LINE_BYTES + 1)))
        bad = 0
        for number, line in _lines(file):
            try:
                reading.take(line)
            except (BadLineError, HistogramError) as problem:
                bad += 1
                if bad <= MAX_PROBLEMS:
                    reading.log.problems.append(_problem(number, line, problem))
        if bad > MAX_PROBLEMS:
            reading.log.problems.append(f"{bad - MAX_PROBLEMS} more lines cannot be read")
        if file.read(1):
            reading.log.problems.append(
                f"what follows its first {MAX_LINES + 1:,} lines is not read"
            )
    return reading.end()


def read_log(path: Path) -> LatencyLog:
    """Return the last run of a file. Raises: as `read_runs`."""
    return read_runs(path)[-1]


def is_log(path: Path) -> bool:
    """Return whether `path` is a file that begins as a latency log, of this format or another."""
    if not path.is_file():
        return False
    with path.open("rb") as file, suppress(BadLineError):
        return parse(file.readline(MAX_LINE_BYTES + 1)).get("kind") == "run"
    return False


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each line after the first; an overlong one comes cut."""
    for number in range(2, MAX_LINES + 2):
        line = file.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        yield number, line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


def _problem(number: int, line: bytes, problem: Exception) -> str:
    if not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
        return f"line {number} is cut off; the interval that was being written is lost"
    return f"line {number} cannot be read: {problem}"


def _begin(path: Path, line: bytes) -> LatencyLog:
    try:
        data = parse(line)
        if data.get("kind") != "run":
            raise BadLineError("the first line is not of kind 'run'")
        return _run(path, data)
    except BadLineError as cause:
        found = "it is empty" if not line else str(cause)
        raise LogError(
            f"{path} is not a latency log ({found}); give a file that edge-live --log wrote"
        ) from cause


def _run(path: Path, data: Mapping[str, Any]) -> LatencyLog:
    if data.get("format") not in FORMATS:
        raise BadLineError(
            f"its format is {fields.text(str(data.get('format')))[:40]}, this version reads "
            f"{', '.join(map(str, FORMATS))}"
        )
    return LatencyLog(path, fields.header(data), integer(data, "part", MAX_FRAMES, lowest=1))


class _Reading:
    """The runs read so far, the last of them in progress as `log`."""

    def __init__(self, log: LatencyLog) -> None:
        self.log = log
        self._ended: list[LatencyLog] = []
        self._histograms: dict[str, Histogram] = {}

    def take(self, line: bytes) -> None:
        """Add what a line says. Raises: BadLineError, HistogramError: it counts for nothing."""
        data = parse(line)
        kind = data.get("kind")
        if kind == "interval":
            self._take_interval(data)
        elif kind == "summary":
            lost = integer(data, "lost", MAX_FRAMES)
            self.log.reason, self.log.lost = fields.reason(data.get("reason")), lost
        elif kind == "trace":
            if not isinstance(data.get("rows"), list):
                raise BadLineError("a trace without rows")
        elif kind == "run":
            log = _run(self.log.path, data)
            self.end()
            self.log = log
        else:
            raise BadLineError(f"kind {fields.text(str(kind))[:40]!r} is unknown")

    def end(self) -> list[LatencyLog]:
        """Return all runs; of those that are over only the filled buckets are held."""
        self.log.packed = {stage: h.pack() for stage, h in self._histograms.items()}
        self._histograms = {}
        self._ended.append(self.log)
        return self._ended

    def _take_interval(self, data: dict[str, Any]) -> None:
        stages = data.get("stages")
        if not isinstance(stages, dict) or set(stages) != set(STAGES):
            raise BadLineError(f"'stages' does not hold {', '.join(STAGES)}")
        read = {name: fields.stage(name, stages[name]) for name in STAGES}
        interval = _interval(data, {name: StageStats.of_packed(p) for name, p in read.items()})
        # Nothing above has touched the log: a line counts wholly or not at all.
        for name, packed in read.items():
            self._histograms.setdefault(name, Histogram()).add(packed)
        self.log.intervals.append(interval)


def _interval(data: dict[str, Any], stages: Mapping[str, StageStats]) -> LoggedInterval:
    start_ns = integer(data, "start_ns", MAX_NS)
    end_ns = integer(data, "end_ns", MAX_NS)
    if end_ns < start_ns:
        raise BadLineError("the interval ends before it starts")
    processed = integer(data, "processed", MAX_FRAMES)
    if any(stats.count != processed for stats in stages.values()):
        raise BadLineError("a histogram does not hold as many frames as were processed")
    health = data.get("health")
    if not isinstance(health, dict):
        raise BadLineError("'health' is not an object")
    return LoggedInterval(
        start_ns=start_ns,
        end_ns=end_ns,
        captured=integer(data, "captured", MAX_FRAMES),
        processed=processed,
        skipped=integer(data, "skipped", MAX_FRAMES),
        lost=integer(data, "lost", MAX_FRAMES),
        temperature_c=fields.temperature(health),
        throttled=fields.flags(health, "throttled"),
        throttled_since_boot=fields.flags(health, "throttled_since_boot"),
        stages=stages,
        incidents=fields.incidents(data.get("incidents", {})),
    )
