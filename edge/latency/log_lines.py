"""The latency log: one JSON object a line, so that it can be followed, searched and cut anywhere.

    {"kind": "run", "format": 2, "part": 1, ...}      what runs, where: a RunHeader
    {"kind": "interval", "captured": ..., "incidents": {...}, "stages": {"inference": {...}}, ...}
    {"kind": "trace", "columns": [...], "rows": [...], "interrupted": [...]}
                                                       with traces, after its interval
    {"kind": "summary", "reason": ..., ...}            the whole run; a killed run has none

The next run follows in the same file. `incidents` holds the fields of `incidents.Incidents` that
are not 0; format 1 had no incidents, and one run a file.

Times are integer nanoseconds of one monotonic clock. `histogram` is base64 of HdrHistogram's V2
compressed encoding; the figures beside it are there for people and jq.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edge.errors import EdgeError
from edge.latency import hdr
from edge.latency.histogram import I64, Histogram
from edge.latency.recorder import STAMPS, Interval
from edge.latency.stats import StageStats

FORMAT = 2
FORMATS = (1, FORMAT)  # those that are read
TRACE_ROWS_A_LINE = 1000
# How every log of this format begins: a later run can follow it.
RUN_LINE = f'{{"kind":"run","format":{FORMAT},'.encode()


class LogError(EdgeError):
    """A latency log cannot be written or read."""


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a run was, for whoever reads its log later.

    `model` is the artifact's path and `card` the name in its card ("" without one); `timestamps`
    says where a frame's age counts from ("sensor", "driver" or "arrival"). `started` is the wall
    time in ISO 8601 and `started_ns` the same moment on the monotonic clock. `board`, `camera` and
    `versions` are facts by name.
    """

    model: str
    model_sha256: str
    card: str
    runtime: str
    source: str
    timestamps: str
    threads: int
    interval_s: float
    started: str
    started_ns: int
    clock: str = "time.monotonic_ns"
    board: Mapping[str, str] = field(default_factory=dict)
    camera: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def run_line(header: RunHeader, part: int) -> bytes:
    """Return the line that begins a run, or goes on with it in the file that is its `part`-th."""
    return _line({"kind": "run", "format": FORMAT, "part": part} | asdict(header))


def interval_lines(interval: Interval, lost: int, health: Mapping[str, object]) -> bytes:
    """Return the line of an interval, and those of its trace where it has one.

    Args: lost: how many intervals before it could not be written; health: see `LogWriter`.
    """
    body = {"kind": "interval", "lost": lost, "health": dict(health)}
    return b"".join([_line(body | _interval_json(interval)), *_trace_lines(interval)])


def summary_line(run: Interval, reason: str, lost: int) -> bytes:
    """Return the last line of a run, which ended for `reason`."""
    return _line({"kind": "summary", "reason": reason, "lost": lost} | _interval_json(run))


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":"), default=str, allow_nan=False).encode() + b"\n"


def _interval_json(interval: Interval) -> dict[str, Any]:
    return {
        "start_ns": interval.start_ns,
        "end_ns": interval.end_ns,
        "captured": interval.captured,
        "processed": interval.processed,
        "skipped": interval.skipped,
        "incidents": interval.incidents.to_json(),
        "stages": {stage: _stage_json(h) for stage, h in interval.histograms.items()},
    }


def _stage_json(histogram: Histogram) -> dict[str, Any]:
    return {
        **StageStats.of(histogram).to_json(),
        "negative": histogram.negative,
        "above": histogram.above,
        "histogram": base64.b64encode(hdr.encode(histogram)).decode(),
    }


def _trace_lines(interval: Interval) -> list[bytes]:
    columns = [f"{stamp}_ns" for stamp in STAMPS]
    rows: I64 = interval.trace
    lines = []
    for first in range(0, len(rows), TRACE_ROWS_A_LINE):
        last = first + TRACE_ROWS_A_LINE
        interrupted = [row - first for row in interval.interrupted if first <= row < last]
        body = {"columns": columns, "rows": rows[first:last].tolist(), "interrupted": interrupted}
        lines.append(_line({"kind": "trace"} | body))
    return lines
