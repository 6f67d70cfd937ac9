"""How far apart a camera's frames usually are."""

from __future__ import annotations

from collections import deque
from statistics import median_low

# Half of so many must change before it is another rate and not a gap.
WINDOW = 15
FEWEST = 5


class UsualInterval:
    """The median of a camera's last 15 distances, but not less than what it agreed to.

    In the dark many cameras expose for longer than the frame duration that they agreed to, and give
    fewer frames; by the agreed one, every second frame would be missing. (Of such a change, the
    first seven distances at most look like gaps.)
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
        return max(self._agreed_ns, median_low(self._intervals_ns))
