"""Reading a latency log, whole or cut off anywhere, from anyone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from edge.latency import hdr
from edge.latency.histogram import I64, LATENCY, Histogram, HistogramError
from edge.latency.log import FORMAT, LogError, RunHeader
from edge.latency.recorder import STAGES
from edge.latency.stats import StageStats
from edge.text import printable

MAX_LINE_BYTES = 1 << 20
MAX_LINES = 500_000
MAX_TEXT = 4096
MAX_FACTS = 200
MAX_PROBLEMS = 20
_MAX_NS = 1 << 62
_MAX_FRAMES = 1 << 40


@dataclass(frozen=True, slots=True)
class LoggedInterval:
    """One interval of a log; the fields are those of `recorder.Interval`.

    `lost` is how many intervals before it could not be written. `temperature_c`, `throttled` (the
    flags that were on at the interval's end) and `throttled_since_boot` (those that had been on by
    then) are None where the log does not know them. The figures of `stages` are computed from the
    logged histograms, not taken from beside them.
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


@dataclass(slots=True)
class LatencyLog:
    """What a log holds.

    `histograms` are the sums over `intervals`. `reason` is why the run ended, None where the log
    has no summary: the run was killed, goes on, or continues in another part. `lost` is how many
    intervals before the summary could not be written. `problems` says, a sentence each, what could
    not be read.
    """

    path: Path
    run: RunHeader
    part: int
    intervals: list[LoggedInterval] = field(default_factory=list)
    histograms: dict[str, Histogram] = field(
        default_factory=lambda: {stage: Histogram() for stage in STAGES}
    )
    reason: str | None = None
    lost: int = 0
    problems: list[str] = field(default_factory=list)


def read_log(path: Path) -> LatencyLog:
    """Read a log. Lines that cannot be read are problems, not errors; the rest counts.

    Raises: LogError: `path` does not begin with a run line, so it is no latency log; OSError.
    """
    with path.open("rb") as file:
        log = _begin(path, file.readline(MAX_LINE_BYTES + 1))
        bad = 0
        for number, line in _lines(file):
            try:
                _read_line(log, line)
            except (_BadLineError, HistogramError) as problem:
                bad += 1
                if bad <= MAX_PROBLEMS:
                    log.problems.append(_problem(number, line, problem))
        if bad > MAX_PROBLEMS:
            log.problems.append(f"{bad - MAX_PROBLEMS} more lines cannot be read")
        if file.read(1):
            log.problems.append(f"what follows its first {MAX_LINES + 1:,} lines is not read")
    return log


def is_log(path: Path) -> bool:
    """Return whether `path` is a file that begins as a latency log, of this format or another."""
    if not path.is_file():
        return False
    with path.open("rb") as file, suppress(_BadLineError):
        return _parse(file.readline(MAX_LINE_BYTES + 1)).get("kind") == "run"
    return False


class _BadLineError(Exception):
    """A line is not what the format has there."""


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
        data = _parse(line)
        if data.get("kind") != "run":
            raise _BadLineError("the first line is not of kind 'run'")
        if data.get("format") != FORMAT:
            raise _BadLineError(
                f"its format is {_text(str(data.get('format')))[:40]}, this version reads {FORMAT}"
            )
        return LatencyLog(path, _header(data), _integer(data, "part", _MAX_FRAMES, lowest=1))
    except _BadLineError as cause:
        found = "it is empty" if not line else str(cause)
        raise LogError(
            f"{path} is not a latency log ({found}); give a file that edge-live --log wrote"
        ) from cause


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise _BadLineError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        data = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as cause:
        raise _BadLineError("not JSON") from cause
    if not isinstance(data, dict):
        raise _BadLineError("not a JSON object")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _read_line(log: LatencyLog, line: bytes) -> None:
    data = _parse(line)
    kind = data.get("kind")
    if kind == "interval":
        _read_interval(log, data)
    elif kind == "summary":
        lost = _integer(data, "lost", _MAX_FRAMES)
        log.reason, log.lost = _reason(data.get("reason")), lost
    elif kind == "trace":
        if not isinstance(data.get("rows"), list):
            raise _BadLineError("a trace without rows")
    else:
        raise _BadLineError(f"kind {_text(str(kind))[:40]!r} is unknown")


def _read_interval(log: LatencyLog, data: dict[str, Any]) -> None:
    stages = data.get("stages")
    if not isinstance(stages, dict) or set(stages) != set(STAGES):
        raise _BadLineError(f"'stages' does not hold {', '.join(STAGES)}")
    read = {name: _read_stage(name, stages[name]) for name in STAGES}
    start_ns = _integer(data, "start_ns", _MAX_NS)
    end_ns = _integer(data, "end_ns", _MAX_NS)
    if end_ns < start_ns:
        raise _BadLineError("the interval ends before it starts")
    processed = _integer(data, "processed", _MAX_FRAMES)
    if any(stage.stats.count != processed for stage in read.values()):
        raise _BadLineError("a histogram does not hold as many frames as were processed")
    health = data.get("health")
    if not isinstance(health, dict):
        raise _BadLineError("'health' is not an object")
    interval = LoggedInterval(
        start_ns=start_ns,
        end_ns=end_ns,
        captured=_integer(data, "captured", _MAX_FRAMES),
        processed=processed,
        skipped=_integer(data, "skipped", _MAX_FRAMES),
        lost=_integer(data, "lost", _MAX_FRAMES),
        temperature_c=_temperature(health.get("temperature_c")),
        throttled=_flags(health, "throttled"),
        throttled_since_boot=_flags(health, "throttled_since_boot"),
        stages={name: stage.stats for name, stage in read.items()},
    )
    # Nothing above has touched the log: a line counts wholly or not at all.
    for name, stage in read.items():
        histogram = log.histograms[name]
        histogram.add_counts(stage.index, stage.counts, (stage.stats.min_ns, stage.stats.max_ns))
        histogram.negative += stage.negative
        histogram.above += stage.above
    log.intervals.append(interval)


@dataclass(frozen=True, slots=True)
class _Stage:
    index: I64
    counts: I64
    stats: StageStats
    negative: int
    above: int


def _read_stage(name: str, data: object) -> _Stage:
    if not isinstance(data, dict) or not isinstance(data.get("histogram"), str):
        raise _BadLineError(f"stage {name} has no histogram")
    try:
        encoded = base64.b64decode(data["histogram"], validate=True)
    except ValueError as cause:
        raise _BadLineError(f"the histogram of stage {name} is not base64") from cause
    index, counts = hdr.decode(encoded)
    negative, above = (_integer(data, key, int(counts.sum())) for key in ("negative", "above"))
    min_max_ns = (_integer(data, "min", _MAX_NS), _integer(data, "max", _MAX_NS))
    if index.size:
        low, high = LATENCY.bounds(index[[0, -1]])
        if not all(lo <= v <= hi for lo, v, hi in zip(low, min_max_ns, high, strict=True)):
            raise _BadLineError(f"min and max of stage {name} do not fit its histogram")
    stats = StageStats.of_counts(LATENCY, index, counts, min_max_ns)
    return _Stage(index, counts, stats, negative, above)


def _integer(data: Mapping[str, Any], key: str, highest: int, lowest: int = 0) -> int:
    value = data.get(key)
    if type(value) is not int or not lowest <= value <= highest:
        raise _BadLineError(f"{key!r} is not a whole number of {lowest} to {highest}")
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise _BadLineError(f"{name!r} is not a number")
    return float(value)


def _temperature(value: object) -> float | None:
    return None if value is None else _number(value, "temperature_c")


def _flags(health: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = health.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_FACTS:
        raise _BadLineError(f"{key!r} is not a list of flags")
    return tuple(_text(flag) for flag in value)


def _text(value: object) -> str:
    """Return a string that is safe to print."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _BadLineError(f"a text is missing, or longer than {MAX_TEXT} characters")
    return printable(value)


def _reason(value: object) -> str:
    # An error's whole message; a run that has one has ended, however long it is.
    return _text(value[:MAX_TEXT] if isinstance(value, str) else value)


def _facts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_FACTS:
        raise _BadLineError("board, camera and versions must be objects")
    return {_text(name): _text(fact) for name, fact in value.items()}


def _header(data: Mapping[str, Any]) -> RunHeader:
    return RunHeader(
        model=_text(data.get("model")),
        model_sha256=_text(data.get("model_sha256")),
        card=_text(data.get("card")),
        runtime=_text(data.get("runtime")),
        source=_text(data.get("source")),
        timestamps=_text(data.get("timestamps")),
        threads=_integer(data, "threads", 1 << 16),
        interval_s=_number(data.get("interval_s"), "interval_s"),
        started=_text(data.get("started")),
        started_ns=_integer(data, "started_ns", _MAX_NS),
        clock=_text(data.get("clock")),
        board=_facts(data.get("board")),
        camera=_facts(data.get("camera", {})),  # older logs have none
        versions=_facts(data.get("versions")),
    )
