"""What the process that broadcasts knows of the run: bounded, and read by its servers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.broadcast import wire
from edge.broadcast.marks import Mark, Marks, boot_ms_of
from edge.clock import boot_ns
from edge.device import Health, read_health
from edge.latency.histogram import Histogram
from edge.latency.incidents import NOTHING, Incidents
from edge.latency.recorder import STAGES, Interval

# A row a second: the last ten minutes.
HISTORY_ROWS = 600
# What must hold for a run to be well: a frame got its label not longer ago than this.
STALE_S = 10.0


@dataclass(frozen=True, slots=True)
class Newest:
    """The last frame that got a label: when (ns, monotonic), how old it was, its best classes."""

    sequence: int
    at_ns: int
    age_ns: int
    total_ns: int
    index: int
    guesses: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How the run goes: the fields of `live.Status`, and intervals that did not reach us."""

    fps: float = 0.0
    p50_ns: int = 0
    p99_ns: int = 0
    processed: int = 0
    skipped: int = 0
    outage_ns: int = 0
    notice: str = ""
    lost_intervals: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One second of history. `at_ms`: of the boot clock; `temperature_c`: None if not known."""

    number: int
    at_ms: int
    fps: float
    p50_ns: int
    p99_ns: int
    processed: int
    skipped: int
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame with its label: `pixels` are of uint8 [height, width, 3], ordered as `color`."""

    arrived_ns: int
    age_ns: int
    guesses: tuple[tuple[str, float], ...]
    shape: tuple[int, int, int]
    color: str
    pixels: bytes


@dataclass(slots=True)
class RunView:
    """Written by the thread that receives, read by any.

    What is read is one reference to something that does not change, but for `histograms`, which are
    read under `lock`. `facts` are those of the run's header. `watched` is called when somebody
    looks at the picture.
    """

    facts: Mapping[str, Any]
    labels: tuple[str, ...]
    log: str = ""
    watched: Callable[[], None] = lambda: None
    ask_health: Callable[[], Health] = read_health
    newest: Newest | None = None
    progress: Progress = field(default_factory=Progress)
    picture: Picture | None = None
    health: Health = field(default_factory=Health)
    last_interval: Interval | None = None
    since_ms: int | None = None
    """When the first interval began that came here (boot clock)."""
    incidents: Incidents = NOTHING
    """What befell the run in all intervals that came here."""
    lost_results: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    histograms: Mapping[str, Histogram] = field(
        default_factory=lambda: {stage: Histogram() for stage in STAGES}
    )
    _history: deque[Row] = field(default_factory=lambda: deque(maxlen=HISTORY_ROWS))
    _marks: Marks = field(default_factory=Marks)
    _rows: int = 0

    def take(self, message: wire.Message) -> None:
        """Take in one message; of a kind that is unknown, nothing."""
        if message.kind == "results":
            self._take_results(message)
        elif message.kind == "status":
            self.progress = Progress(**message.fields)
            self.health = self.ask_health()
            self._add_row()
        elif message.kind == "interval":
            self.last_interval = interval = wire.read_interval(message)
            self.incidents = self.incidents.merged(interval.incidents)
            # Told with the next row: who has that one has this too.
            self._marks.add(interval, self._rows + 1)
            if self.since_ms is None:
                self.since_ms = boot_ms_of(interval.start_ns)
            with self.lock:
                for stage, histogram in interval.histograms.items():
                    self.histograms[stage].merge(histogram)
        elif message.kind == "picture":
            fields = message.fields
            self.picture = Picture(
                fields["arrived_ns"],
                fields["age_ns"],
                _guesses(fields),
                tuple(fields["shape"]),
                fields["color"],
                message.blobs[0],
            )

    def history(self, after: int) -> list[Row]:
        """Return the rows with a higher number than `after`, in order; the first is number 1."""
        # One step of the interpreter: no row comes in between.
        rows = list(self._history)
        return [row for row in rows if row.number > after]

    def marks(self, after: int) -> list[Mark]:
        """Return what befell the run, told with rows of a higher number than `after`, in order."""
        told = self._rows
        return [mark for mark in self._marks.newest() if after < mark.number <= told]

    def problems(self) -> tuple[str, ...]:
        """Return, in a few words each, what is wrong with the run; nothing if all is well."""
        found = [f"the board says: {flag}" for flag in self.health.flags_now]
        progress = self.progress
        if progress.notice:
            found.append(progress.notice)
        silent_s = self.silent_s()
        # A camera that is lost is reason enough.
        if silent_s is not None and silent_s > STALE_S and not progress.outage_ns:
            found.append("no frame gets a label")
        return tuple(found)

    def silent_s(self) -> float | None:
        """Return how long ago the last frame got its label; None before the first."""
        newest = self.newest
        return None if newest is None else max(0, time.monotonic_ns() - newest.at_ns) / 1e9

    def _take_results(self, message: wire.Message) -> None:
        last = np.frombuffer(message.blobs[0], wire.RESULT)[-1]
        self.lost_results += message.fields["lost"]
        self.newest = Newest(
            sequence=message.fields["sequence"],
            at_ns=int(last["at_ns"]),
            age_ns=int(last["age_ns"]),
            total_ns=message.fields["total_ns"],
            index=int(last["index"]),
            guesses=_guesses(message.fields),
        )

    def _add_row(self) -> None:
        progress = self.progress
        self._rows += 1
        self._history.append(
            Row(
                self._rows,
                boot_ns() // 1_000_000,
                progress.fps,
                progress.p50_ns,
                progress.p99_ns,
                progress.processed,
                progress.skipped,
                self.health.temperature_c,
            )
        )


def _guesses(fields: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    return tuple((label, confidence) for label, confidence in fields["guesses"])
