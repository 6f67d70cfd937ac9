"""How often a source was lost, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.latency.incidents import Tally


@dataclass(frozen=True, slots=True)
class Outages:
    """How often a source was lost since it was first opened, and for how long.

    An outage lasts from the last frame before it to the first one after it. `ended_ns` is the sum
    of those that are over, `longest_ns` and `last_ns` one of them; `since_ns` is when the one that
    goes on began (None: there is none).
    """

    count: int = 0
    ended_ns: int = 0
    longest_ns: int = 0
    last_ns: int = 0
    since_ns: int | None = None

    def begun_at(self, since_ns: int) -> Outages:
        """Return these and one that goes on since this moment."""
        return replace(self, count=self.count + 1, since_ns=since_ns)

    def ended_by(self, now_ns: int) -> Outages:
        """Return these with the one that goes on ended."""
        gone_ns = self.current_ns(now_ns)
        longest_ns = max(self.longest_ns, gone_ns)
        return Outages(self.count, self.ended_ns + gone_ns, longest_ns, gone_ns)

    def total_ns(self, now_ns: int) -> int:
        """Return the time without a camera, that of the outage that goes on included."""
        return self.ended_ns + self.current_ns(now_ns)

    def current_ns(self, now_ns: int) -> int:
        """Return how long the outage goes on that goes on now; 0 without one."""
        return 0 if self.since_ns is None else now_ns - self.since_ns

    def since(self, before: Outages, before_ns: int, now_ns: int) -> Tally:
        """Return those of the time from `before_ns`, when it was `before`, until now.

        They count where they begin, their time where it lies, and the longest is as long as it is
        by now, also where it began earlier. Of several that ended, and none of which is the
        longest of all, it is the last.
        """
        count = self.count - before.count
        total_ns = self.total_ns(now_ns) - before.total_ns(before_ns)
        if not count and not total_ns:
            return Tally()
        longest_ns = self.current_ns(now_ns)
        if self.ended_ns > before.ended_ns:
            longest_ns = max(longest_ns, self.last_ns)
        if self.longest_ns > before.longest_ns:
            longest_ns = max(longest_ns, self.longest_ns)
        return Tally(count, total_ns, longest_ns)
