"""What the loop's thread leaves for the thread that takes it elsewhere: references, no work."""

from __future__ import annotations

from collections import deque

from edge.latency.recorder import Interval
from edge.live import Result, Status
from edge.sources.base import Frame

# What is kept while nobody takes it; a run at 300 frames a second fills it in three seconds.
MAX_RESULTS = 1024
MAX_INTERVALS = 4


class Latest:
    """The newest frame with its result, and what was not taken yet of all that is heard.

    A `Listener`. One thread writes, one takes; each step is one operation of the interpreter, so
    that neither waits for the other. What is not taken in time is dropped, the oldest first, and
    counted.
    """

    def __init__(self) -> None:
        self.newest: tuple[Frame, Result] | None = None
        self.newest_status: Status | None = None
        self.lost_intervals = 0
        self._results: deque[tuple[int, Result]] = deque(maxlen=MAX_RESULTS)
        self._intervals: deque[Interval] = deque(maxlen=MAX_INTERVALS)
        self._given = 0
        self._accounted = 0

    def labelled(self, frame: Frame, result: Result) -> None:
        self.newest = frame, result
        self._results.append((frame.arrived_ns, result))
        self._given += 1

    def status(self, status: Status) -> None:
        self.newest_status = status

    def interval(self, interval: Interval) -> None:
        if len(self._intervals) == MAX_INTERVALS:
            self.lost_intervals += 1
        self._intervals.append(interval)

    def take_results(self) -> tuple[list[tuple[int, Result]], int]:
        """Return results in order, each with its frame's arrival (ns), and how many were lost."""
        given = self._given
        taken: list[tuple[int, Result]] = []
        while self._results and len(taken) < MAX_RESULTS:
            taken.append(self._results.popleft())
        # What came since `given` was read may be among them: then it is accounted for later.
        lost = max(0, given - self._accounted - len(taken))
        self._accounted += len(taken) + lost
        return taken, lost

    def take_intervals(self) -> list[Interval]:
        """Return the intervals that were not taken, in order."""
        taken = []
        while self._intervals:
            taken.append(self._intervals.popleft())
        return taken
