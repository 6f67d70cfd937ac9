"""The loop's side of the latency log: what it says of the run, and what a full disk does to it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from edge.backends.base import ModelSpec
from edge.device import describe_board, describe_versions
from edge.latency.log import LogWriter
from edge.latency.log_lines import LogError, RunHeader
from edge.latency.recorder import Interval
from edge.live.health import HealthWatch
from edge.sources.base import Source, details_of
from edge.text import warn

SAY_AGAIN_NS = 3600 * 10**9


class RunLog:
    """Writes intervals to a latency log; a disk that is full stops the log, not the loop.

    `failures` counts the writes that failed.
    """

    def __init__(self, path: Path, model: ModelSpec, source: Source, interval_s: float) -> None:
        """Begin the log at `path`, or continue it. Raises: LogError: it cannot be created."""
        self.failures = 0
        header = RunHeader(
            model=model.path,
            model_sha256=model.sha256,
            card=model.card.name if model.card else "",
            runtime=model.runtime,
            source=source.name,
            timestamps=source.timestamps,
            threads=model.threads,
            interval_s=interval_s,
            started=datetime.now(UTC).isoformat(timespec="milliseconds"),
            started_ns=time.monotonic_ns(),
            camera=details_of(source),
            board=describe_board(),
            versions=describe_versions(),
        )
        self._writer = LogWriter(path, header)
        self._health = HealthWatch()
        self._health.start()
        self._said_ns: int | None = None  # when it was last said that the log fails
        self._is_failing = False
        if self._writer.late is not None:
            self._failed(self._writer.late)

    def interval(self, interval: Interval) -> None:
        """Append one interval and the board's health; a failure is counted and said."""
        try:
            self._writer.interval(interval, self._health.take().to_json())
        except LogError as error:
            self._failed(error)
            return
        if self._is_failing:
            self._is_failing = False
            warn(f"{self._writer.path}: the latency log is written again; the gap is counted in it")

    def close(self, run: Interval, reason: str) -> None:
        """Append the summary and close the file, whatever the disk says."""
        self._health.stop()
        try:
            self._writer.close(run, reason)
        except LogError as error:
            self._failed(error)

    def _failed(self, error: LogError) -> None:
        self.failures += 1
        now_ns = time.monotonic_ns()
        # Where room comes and goes, not each time: what is said may land on the same disk.
        if self._said_ns is None or now_ns - self._said_ns > SAY_AGAIN_NS:
            self._said_ns = now_ns
            self._is_failing = True
            warn(f"{error}; the loop goes on")
