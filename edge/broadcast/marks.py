"""What befell a run, as marks on a line of time: the last ones, each a stretch of intervals."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace

from edge.clock import boot_ns
from edge.latency.describe_incidents import words
from edge.latency.incidents import Incidents
from edge.latency.recorder import Interval

MAX_MARKS = 100


@dataclass(frozen=True, slots=True)
class Mark:
    """Intervals in a row in which the same kinds of things happened.

    `began_ms` and `ended_ms` are of the boot clock, which no hand sets and which goes on while the
    machine sleeps. `number` grows when the mark does.
    """

    number: int
    began_ms: int
    ended_ms: int
    incidents: Incidents


class Marks:
    """The last marks. One thread adds, any may look."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque(maxlen=MAX_MARKS)
        self._end_ns: int | None = None

    def add(self, interval: Interval, number: int) -> None:
        """Take in an interval; one that is like the one before it makes its mark longer."""
        found = interval.incidents
        follows = interval.start_ns == self._end_ns
        self._end_ns = interval.end_ns if words(found) else None
        if not words(found):
            return
        ended_ms = boot_ms_of(interval.end_ns)
        last = self._marks[-1] if self._marks else None
        if follows and last is not None and words(last.incidents) == words(found):
            both = last.incidents.merged(found)
            self._marks[-1] = replace(last, number=number, ended_ms=ended_ms, incidents=both)
            return
        self._marks.append(Mark(number, boot_ms_of(interval.start_ns), ended_ms, found))

    def newest(self) -> list[Mark]:
        """Return the marks that are kept, in order."""
        return list(self._marks)


def boot_ms_of(at_ns: int) -> int:
    """Return what the boot clock (ms) showed at `at_ns` of the monotonic clock.

    By what it shows now: before a sleep of the machine it showed less.
    """
    return (boot_ns() - time.monotonic_ns() + at_ns) // 1_000_000
