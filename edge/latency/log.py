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
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.errors import EdgeError
from edge.latency import hdr
from edge.latency.histogram import I64, Histogram
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
    run line. What is there and is no log is moved away in the same way.

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
        self._file: io.FileIO | None = None
        self._size = 0
        self._part = 0
        self._begin_size = 0  # of the file when its last run line had been written
        self._is_torn = False  # whether part of a line could not be taken back
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
            self._sync()
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
        if self._file is None:
            self._begin()
        elif self._size + len(lines) > self._max_bytes and self._size > self._begin_size:
            self._sync()
            self._release()
            self._begin()
        self._write(lines)

    def _begin(self) -> None:
        header = asdict(self._header)
        line = _line({"kind": "run", "format": FORMAT, "part": self._part + 1} | header)
        # Behind another run, where there is one; the next parts have a file of their own.
        joint = None if self._part else _end_of_log(self.path)
        if joint is None or self.path.stat().st_size + len(joint + line) > self._max_bytes:
            joint = None
            # What is there may also be the part before, where it could not be moved at first.
            if self.path.exists() and self.path.stat().st_size:
                self._shift()
        self._file = io.FileIO(self.path, "w" if joint is None else "r+")
        self._size = self._file.seek(0, os.SEEK_END)
        try:
            self._write(line if joint is None else joint + line)
        except OSError:
            self._release()
            if joint is None:
                self.path.unlink()
            raise
        self._begin_size = self._size
        self._part += 1

    def _write(self, data: bytes) -> None:
        """Write all of `data`, or leave the file as it was and raise OSError."""
        assert self._file is not None  # noqa: S101 - narrows the type; every caller has opened it
        if self._is_torn:
            self._take_back()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._is_torn = True
            with suppress(OSError):  # tried again before the next line
                self._take_back()
            raise
        self._size += len(data)

    def _take_back(self) -> None:
        assert self._file is not None  # noqa: S101 - as above
        self._file.truncate(self._size)
        self._file.seek(self._size)
        self._is_torn = False

    def _shift(self) -> None:
        for number in range(self._keep, 0, -1):
            source = self.path if number == 1 else self._numbered(number - 1)
            if source.exists():
                source.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _sync(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _error(self, cause: OSError) -> LogError:
        return LogError(
            f"{self.path}: the latency log cannot be written ({cause.strerror or cause}); "
            "make room, or name another file"
        )


def _end_of_log(path: Path) -> bytes | None:
    """Return what must stand between a log and its next run line, or None where there is no log.

    A run that was cut off, by a loss of power perhaps, ends within a line.
    """
    if not path.is_file() or not path.stat().st_size:
        return None
    with path.open("rb") as file:
        if file.read(len(RUN_LINE)) != RUN_LINE:
            return None
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"


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
