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
import errno
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.errors import EdgeError
from edge.latency import hdr, log_file
from edge.latency.histogram import I64, Histogram
from edge.latency.log_file import LogFile
from edge.latency.recorder import STAMPS, Interval
from edge.latency.stats import StageStats

FORMAT = 2
FORMATS = (1, FORMAT)  # those that are read
MAX_BYTES = 16 << 20
KEEP = 4
TRACE_ROWS_A_LINE = 1000
# How every log of this format begins: a later run can follow it.
RUN_LINE = f'{{"kind":"run","format":{FORMAT},'.encode()
# What may pass by itself: a disk that is full, or that was made read-only after an error.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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


class LogWriter:
    """Writes one run's log to `path`.

    One write an interval, and no more; the kernel brings it to the card within half a minute, so
    a killed process loses the interval in progress and a power cut the last few. Only rotation and
    `close` wait for the card.

    A log that is there already is continued, so that a service that is started again and again
    does not push the logs of better days out. When the next line would exceed `max_bytes`, `path`
    becomes `path.1` (and `.1` becomes `.2`; `keep` old files stay) and a new `path` starts with the
    run line. What is there and is no log, or is written by another process, is moved away in the
    same way. A file that someone deletes is begun anew.

    A full disk raises LogError, and what was there still reads. The loop may go on and call
    `interval` as before: each call tries again, and the next line that fits says how many
    intervals were lost (`lost`). `late` is the error of a disk that was full, or could only be
    read, from the start (else None).

    Raises: LogError: `path` cannot be created.
    """

    def __init__(
        self, path: Path, header: RunHeader, *, max_bytes: int = MAX_BYTES, keep: int = KEEP
    ) -> None:
        self.path = path
        self._header = header
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: LogFile | None = None
        self._part = 0
        self._begin_size = 0  # of the file when its last run line had been written
        self._lost = 0
        self.late: LogError | None = None
        try:
            if path.exists() and not path.is_file():
                raise LogError(f"{path} is not a file; name a file for the latency log")
            self._begin()
        except OSError as cause:
            self.late = self._error(cause)
            if cause.errno not in PASSING:
                raise self.late from cause

    def interval(self, interval: Interval, health: Mapping[str, object]) -> None:
        """Append one interval, and its trace where it has one.

        Args: health: what the board says of itself: `temperature_c` (number), `throttled` and
            `throttled_since_boot` (lists of the names of the flags that were on in the interval,
            and that have been on) where they are known, and whatever else is worth keeping, as
            JSON values.
        Raises: LogError: the disk is full or gone; the interval is lost and counted.
        """
        body = {"kind": "interval", "lost": self._lost, "health": dict(health)}
        lines = [_line(body | _interval_json(interval)), *_trace_lines(interval)]
        try:
            self._append(b"".join(lines))
        except OSError as cause:
            self._lost += 1
            raise self._error(cause) from cause
        self._lost = 0

    def close(self, run: Interval, reason: str) -> None:
        """Append the summary and wait until the log is on the disk.

        Args: run: the whole run, `Recorder.run()`; reason: why it ended, in a few words.
        Raises: LogError: the disk is full or gone. The file is closed all the same.
        """
        body = {"kind": "summary", "reason": reason, "lost": self._lost}
        try:
            self._append(_line(body | _interval_json(run)))
            if self._file is not None:
                self._file.sync()
        except OSError as cause:
            raise self._error(cause) from cause
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the file; without `close` before, the log reads as that of a killed run."""
        self._release()

    def _append(self, lines: bytes) -> None:
        file = self._file
        if file is not None and (self._is_too_long(file, lines) or file.is_deleted):
            file.sync()
            self._release()
            file = None
        if file is None:
            file = self._begin()
        file.write(lines)

    def _is_too_long(self, file: LogFile, lines: bytes) -> bool:
        # A line that is longer than a whole file is written all the same.
        is_begun = file.size_bytes > self._begin_size
        return is_begun and file.size_bytes + len(lines) > self._max_bytes

    def _begin(self) -> LogFile:
        header = asdict(self._header)
        line = _line({"kind": "run", "format": FORMAT, "part": self._part + 1} | header)
        file = None if self._part else self._behind_another_run(line)
        if file is None:
            # What is there may also be the part before, where it could not be moved at first.
            if self.path.exists() and self.path.stat().st_size:
                self._shift()
            file = LogFile(self.path)
            try:
                file.write(line)
            except OSError:
                file.close()
                self.path.unlink()
                raise
        self._file = file
        self._begin_size = file.size_bytes
        self._part += 1
        return file

    def _behind_another_run(self, line: bytes) -> LogFile | None:
        """Return the log that is there, with `line` behind it; None where it cannot be."""
        file = log_file.continued(self.path, RUN_LINE)
        if file is None:
            return None
        try:
            whole = log_file.joint(self.path) + line
            if file.size_bytes + len(whole) <= self._max_bytes:
                file.write(whole)
                return file
        except OSError:
            file.close()
            raise
        file.close()
        return None

    def _shift(self) -> None:
        for number in range(self._keep, 0, -1):
            source = self.path if number == 1 else self._numbered(number - 1)
            if source.exists():
                source.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _error(self, cause: OSError) -> LogError:
        return LogError(
            f"{self.path}: the latency log cannot be written ({cause.strerror or cause}); "
            "make room, or name another file"
        )


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
