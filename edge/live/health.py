"""How the board felt during an interval, not only at its end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from edge.device import SINCE_BOOT, Health, HealthReader

PERIOD_S = 1.0
# Where asking is dear (a program has to be started), it may take so much of the time.
SHARE = 1 / 200
FLAGS_NOW = (1 << SINCE_BOOT) - 1


class HealthWatch:
    """Reads the board's health once a second, on a thread of its own.

    A throttle flag counts for an interval if it was on at any reading, or if the board remembers
    that it came on for the first time since boot between two readings. One that had been on before
    and comes and goes within a second is not seen.
    """

    def __init__(self, read: Callable[[], Health] | None = None) -> None:
        """Args: read: says how the board feels (None: this board)."""
        self._read = HealthReader().read if read is None else read
        self._lock = threading.Lock()
        self._last: int | None = None  # the bits of the last reading that had any
        self._seen = 0  # those of this interval
        self._temperature_c: float | None = None
        self._warmest_c: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="health", daemon=True)

    def start(self) -> None:
        """Read once, and then go on until `stop`."""
        self.sample()
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopped.set()

    def take(self) -> Health:
        """Return the highest temperature and every flag since the last call."""
        with self._lock:
            bits = None if self._last is None else self._last | self._seen
            health = Health(self._warmest_c, bits)
            # What is on now is on in the next interval as well.
            self._seen = (self._last or 0) & FLAGS_NOW
            self._warmest_c = self._temperature_c
        return health

    def sample(self) -> None:
        """Read once more."""
        health = self._read()
        with self._lock:
            if health.throttled is not None:
                # What was on before the first reading is not of this run.
                known = health.throttled if self._last is None else self._last
                came = (health.throttled & ~known) >> SINCE_BOOT
                self._seen |= health.throttled | came
                self._last = health.throttled
            self._temperature_c = health.temperature_c
            if health.temperature_c is not None:
                self._warmest_c = max(self._warmest_c or -math.inf, health.temperature_c)

    def _watch(self) -> None:
        wait_s = PERIOD_S
        while not self._stopped.wait(wait_s):
            start_ns = time.monotonic_ns()
            self.sample()
            wait_s = max(PERIOD_S, (time.monotonic_ns() - start_ns) / 1e9 / SHARE)
