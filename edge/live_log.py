"""The loop's side of the latency log: what it says of the run, and what a full disk does to it."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from edge.backends.base import ModelSpec
from edge.device import describe_board, describe_versions, read_health
from edge.latency.log import LogError, LogWriter, RunHeader
from edge.latency.recorder import Interval
from edge.sources.base import Source, details_of


class RunLog:
    """Writes intervals to a latency log; a disk that is full stops the log, not the loop."""

    def __init__(self, path: Path, model: ModelSpec, source: Source, interval_s: float) -> None:
        """Begin the log at `path`. Raises: LogError: it cannot be created."""
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

    def interval(self, interval: Interval) -> None:
        """Append one interval and the board's health; a failure is counted and said once."""
        try:
            self._writer.interval(interval, read_health().to_json())
        except LogError as error:
            self._failed(error)

    def close(self, run: Interval, reason: str) -> None:
        """Append the summary and close the file, whatever the disk says."""
        try:
            self._writer.close(run, reason)
        except LogError as error:
            self._failed(error)

    def _failed(self, error: LogError) -> None:
        if not self.failures:
            print(f"\nwarning: {error}; the loop goes on", file=sys.stderr)
        self.failures += 1
