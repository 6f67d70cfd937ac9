"""Writes the latency log: one file that goes on from run to run, and older ones behind it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.latency import log_file
from edge.latency.log_file import LogFile
from edge.latency.log_lines import (
    RUN_LINE,
    LogError,
    RunHeader,
    interval_lines,
    run_line,
    summary_line,
)
from edge.latency.recorder import Interval

MAX_BYTES = 16 << 20
KEEP = 4
# What may pass by itself: a disk that is full, or that was made read-only after an error.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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
        lines = interval_lines(interval, self._lost, health)
        try:
            self._append(lines)
        except OSError as cause:
            self._lost += 1
            raise self._error(cause) from cause
        self._lost = 0

    def close(self, run: Interval, reason: str) -> None:
        """Append the summary and wait until the log is on the disk.

        Args: run: the whole run, `Recorder.run()`; reason: why it ended, in a few words.
        Raises: LogError: the disk is full or gone. The file is closed all the same.
        """
        line = summary_line(run, reason, self._lost)
        try:
            self._append(line)
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
        line = run_line(self._header, self._part + 1)
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
