"""How far apart a camera's frames usually are."""

from __future__ import annotations

from collections import deque

# Three quarters of so many must change before it is another rate and not gaps.
WINDOW = 15
FEWEST = 5


class UsualInterval:
    """The lower quartile of a camera's last 15 distances, but not less than what it agreed to.

    In the dark many cameras expose for longer than the frame duration that they agreed to, and give
    fewer frames; by the agreed one, every second frame would be missing. Then all distances are
    long (and of such a change the first twelve at most look like gaps). Where frames are lost at
    random, some distances stay short: with half of all lost, one loss in a hundred is not counted.
    """

    def __init__(self, fps: float) -> None:
        """Args: fps: the rate that was agreed, 0 where it is unknown."""
        self._agreed_ns = round(1e9 / fps) if fps > 0 else 0
        self._last_ns = 0
        self._intervals_ns: deque[int] = deque(maxlen=WINDOW)

    def next(self, stamp_ns: int) -> int:
        """Take a frame's stamp (0: it has none), and return the usual distance, 0 while unknown."""
        if stamp_ns and self._last_ns:
            self._intervals_ns.append(stamp_ns - self._last_ns)
        self._last_ns = stamp_ns
        if len(self._intervals_ns) < FEWEST:
            return self._agreed_ns
        quartile_ns = sorted(self._intervals_ns)[len(self._intervals_ns) // 4]
        return max(self._agreed_ns, quartile_ns)
