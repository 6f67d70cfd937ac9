"""When a label has changed: not with every frame that is seen otherwise."""

from __future__ import annotations

# Of frames further apart nobody knows what was between them.
MAX_GAP_NS = 10 * 10**9
UNSURE = -1


class Debounce:
    """Says so when another class has been the best for long enough, each time sure enough.

    Frames that are less sure count as a class of their own, UNSURE: after as long a time the label
    is gone.
    """

    def __init__(self, stable_s: float, confidence: float) -> None:
        self.current: int | None = None
        self._stable_ns = round(stable_s * 1e9)
        self._confidence = confidence
        self._candidate: int | None = None
        self._since_ns = 0
        self._last_ns = 0

    def take(self, at_ns: int, index: int, confidence: float) -> bool:
        """Take in one frame's best class, in order of time; return whether `current` is another."""
        seen = index if confidence >= self._confidence else UNSURE
        if seen != self._candidate or at_ns - self._last_ns > MAX_GAP_NS:
            self._candidate, self._since_ns = seen, at_ns
        self._last_ns = at_ns
        if seen == self.current or at_ns - self._since_ns < self._stable_ns:
            return False
        self.current = seen
        return True
