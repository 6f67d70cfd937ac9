"""How often something may happen: token buckets, for all and for each client."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` a second over a long time, and `burst` at once."""

    per_s: float
    burst: int


class Bucket:
    """Allows what a rate allows. Belongs to one thread."""

    __slots__ = ("_at_s", "_clock", "_held", "_rate")

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._at_s = clock()
        self._held = float(rate.burst)

    def has_one(self) -> bool:
        """Return whether it may happen now."""
        now_s = self._clock()
        self._held = min(self._rate.burst, self._held + (now_s - self._at_s) * self._rate.per_s)
        self._at_s = now_s
        return self._held >= 1

    def take(self) -> bool:
        """Return whether it may happen now, and count it if so."""
        may = self.has_one()
        self._held -= may
        return may


class ClientBuckets:
    """A bucket for each client; of those that were not seen for longest, some are forgotten."""

    def __init__(
        self, rate: Rate, most: int = 256, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str) -> bool:
        """Return whether `client` may do it now, and count it if so."""
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = Bucket(self._rate, self._clock)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(client)
        return bucket.take()
