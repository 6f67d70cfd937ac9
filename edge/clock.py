"""How another clock of the machine lies to the monotonic one, and whether it has jumped.

A camera's stamps may be of the boot clock, which goes on while the machine sleeps and the
monotonic clock stands still; a wall clock is set by hand or by NTP besides. Two readings in a row
relate them, but whatever comes between the two (another process, an interrupt) looks like a jump.
So the relation is measured once with care, and again only where a quick look disagrees with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]

# What two clocks may seem to move against each other before it is looked at with care. NTP slews a
# wall clock by at most 0.5 ms a second; sleep, and a clock that was set, take more than this.
TOLERANCE_NS = 2_000_000
# Of so many readings, the one that took least time is the least disturbed.
READINGS = 5


def boot_ns() -> int:
    """Return nanoseconds since boot, those asleep included (CLOCK_BOOTTIME)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def monotonic_ns() -> int:
    """Return `time.monotonic_ns()`, which stands still while the machine sleeps."""
    return time.monotonic_ns()


class Relation:
    """The distance of `clock` from the monotonic clock. One thread's.

    `jumps` counts how often it changed by more than the tolerance, and `jumped_ns` by how much in
    all, forwards and backwards added up: a machine that slept an hour has jumped an hour.
    """

    def __init__(
        self,
        clock: Clock = boot_ns,
        monotonic: Clock = monotonic_ns,
        *,
        tolerance_ns: int = TOLERANCE_NS,
    ) -> None:
        """Measure the distance. Args: clock, monotonic: nanoseconds, read when called."""
        self._clock = clock
        self._monotonic = monotonic
        self._tolerance_ns = tolerance_ns
        self.jumps = 0
        self.jumped_ns = 0
        self.offset_ns = self._measure()

    def check(self) -> int:
        """Return how far the clock has jumped since the last look, 0 where it has not.

        Costs two readings. A drift that stays below the tolerance from one look to the next is
        followed, and is no jump.
        """
        apart_ns = abs(self._clock() - self._monotonic() - self.offset_ns)
        if apart_ns <= self._tolerance_ns // 2:
            return 0
        before_ns, self.offset_ns = self.offset_ns, self._measure()
        moved_ns = self.offset_ns - before_ns
        if abs(moved_ns) <= self._tolerance_ns:
            return 0  # we were interrupted between the two readings, or it drifted
        self.jumps += 1
        self.jumped_ns += moved_ns
        return moved_ns

    def to_monotonic_ns(self, stamp_ns: int) -> int:
        """Return a stamp of the clock as one of the monotonic clock, as of the last look."""
        return stamp_ns - self.offset_ns

    def _measure(self) -> int:
        best_ns, offset_ns = -1, 0
        for _ in range(READINGS):
            before_ns = self._monotonic()
            clock_ns = self._clock()
            took_ns = self._monotonic() - before_ns
            if best_ns < 0 or took_ns < best_ns:
                best_ns, offset_ns = took_ns, clock_ns - before_ns - took_ns // 2
        return offset_ns


class SensorClock:
    """Brings a sensor's stamps to the monotonic clock, whichever of two clocks they are of.

    libcamera documents the boot clock; some of its pipelines, and the kernel's drivers, stamp by
    the monotonic one. As long as the machine never slept the two are the same. Once it has, the
    first stamp tells: it is of the clock by which its frame is the younger, for a frame cannot
    come from the future, and one of a camera that runs is not old.
    """

    # How old the first frame can be: the longest exposure of a sensor, and some.
    MAX_FIRST_AGE_NS = 30_000_000_000

    def __init__(self, boot: Relation | None = None) -> None:
        self.boot = Relation() if boot is None else boot
        self._is_boot: bool | None = None
        self._told_apart = False

    def captured_ns(self, stamp_ns: int, now_ns: int) -> int | None:
        """Return when the frame was taken, or None where the stamp is of no clock that we know.

        Args: stamp_ns: the sensor's stamp; now_ns: the monotonic clock's time, just read.
        """
        self.boot.check()
        moments_ns = {True: self.boot.to_monotonic_ns(stamp_ns), False: stamp_ns}
        tell_apart = abs(self.boot.offset_ns) > TOLERANCE_NS
        is_new = self._is_boot is None or tell_apart > self._told_apart
        if is_new or moments_ns[bool(self._is_boot)] > now_ns + TOLERANCE_NS:
            self._is_boot = self._younger(moments_ns, now_ns)
            self._told_apart = tell_apart
        return None if self._is_boot is None else min(moments_ns[self._is_boot], now_ns)

    def _younger(self, moments_ns: dict[bool, int], now_ns: int) -> bool | None:
        # The relation is known to its tolerance: a stamp may seem to lie that far ahead.
        ages_ns = {
            now_ns - moment_ns: is_boot
            for is_boot, moment_ns in moments_ns.items()
            if -TOLERANCE_NS <= now_ns - moment_ns < self.MAX_FIRST_AGE_NS
        }
        return ages_ns[min(ages_ns)] if ages_ns else None
