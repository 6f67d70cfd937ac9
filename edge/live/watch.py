"""What the loop's own thread notices of time that went by without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from edge.clock import Relation, boot_ns
from edge.latency.incidents import NOTHING, Incidents

# Not to have run for so long, where there was something to do, is a pause. Schedulers and disks
# take less; whoever stops a process takes more.
PAUSE_NS = 200_000_000
# Of the wall clock against the boot clock: what is less is slewed, or a look that was disturbed.
STEP_NS = 20_000_000


class TimeWatch:
    """Tells pauses, suspends and steps of the wall clock from frames that take long.

    A pause is time in which this thread did not run (by its own processor time) although it was
    not waiting for a frame: a model that computes for a second is no pause, a process that was
    stopped for a second is. Belongs to the thread that calls `start`; another one may `take`. Costs
    some 2 us a frame.

    Args: clock, processor_ns: the monotonic clock, and the processor time of this thread;
        boot, wall: the boot clock against the monotonic one, the wall clock against the boot clock.
    """

    def __init__(
        self,
        clock: Callable[[], int] = time.monotonic_ns,
        processor_ns: Callable[[], int] = time.thread_time_ns,
        *,
        boot: Relation | None = None,
        wall: Relation | None = None,
    ) -> None:
        self._clock = clock
        self._processor_ns = processor_ns
        self._boot = Relation() if boot is None else boot
        self._wall = Relation(time.time_ns, boot_ns, tolerance_ns=STEP_NS) if wall is None else wall
        self._incidents = NOTHING
        self._changing = threading.Lock()
        self.start()

    def start(self) -> None:
        """Begin now: what was before is no pause."""
        self._looked_ns = self._clock()
        self._ran_ns = self._processor_ns()
        self._hit_ns = 0  # frames captured before this were hit

    def look(self, now_ns: int, waited_ns: int = 0) -> None:
        """Account for the time since the last look.

        Args: now_ns: the clock, just read; waited_ns: how long this thread may have waited since,
            for a reason.
        """
        ran_ns = self._processor_ns()
        idle_ns = (now_ns - self._looked_ns) - (ran_ns - self._ran_ns) - waited_ns
        self._looked_ns, self._ran_ns = now_ns, ran_ns
        if idle_ns >= PAUSE_NS:
            with self._changing:
                pauses = self._incidents.pauses.with_one(idle_ns)
                self._incidents = replace(self._incidents, pauses=pauses)
            # A younger frame cannot have been hit by a pause of this length.
            self._hit(now_ns - PAUSE_NS)
        slept_ns = self._boot.check()
        if slept_ns:
            with self._changing:
                suspends = self._incidents.suspends.with_one(slept_ns)
                self._incidents = replace(self._incidents, suspends=suspends)
            self._hit(now_ns)

    def look_at_the_wall_clock(self) -> None:
        """Notice where it was set since the last look."""
        step_ns = self._wall.check()
        if step_ns:
            with self._changing:
                steps = self._incidents.clock_steps.with_one(step_ns)
                self._incidents = replace(self._incidents, clock_steps=steps)

    def was_hit(self, captured_ns: int) -> bool:
        """Return whether a pause or a suspend is a part of the time since this moment; count it."""
        if captured_ns >= self._hit_ns:
            return False
        with self._changing:
            interrupted = self._incidents.interrupted + 1
            self._incidents = replace(self._incidents, interrupted=interrupted)
        return True

    def take(self) -> Incidents:
        """Return what was noticed since the last call."""
        with self._changing:
            incidents, self._incidents = self._incidents, NOTHING
        return incidents

    def _hit(self, moment_ns: int) -> None:
        self._hit_ns = max(self._hit_ns, moment_ns)
