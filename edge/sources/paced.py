"""A file that plays at its own pace: it stands for a camera, and its clock for the sensor's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge.sources.base import Frame, Source, Timestamps

NS = 1_000_000_000


def at_rate(fps: float) -> Callable[[int], int]:
    """Return when each frame's moment is, in ns from the first, by its number."""
    period_ns = round(NS / fps)
    return lambda number: number * period_ns


class PacedSource:
    """Hands out a file's frames when their moment has come. Whoever reads late misses frames.

    What takes longer to read than it lasts is played as fast as it can be read: its clock stands
    still for that long.
    """

    is_live = True
    timestamps: Timestamps = "sensor"

    def __init__(self, source: Source, position_ns: Callable[[int], int]) -> None:
        """Take over `source`, which has not been read.

        Args: position_ns: gives the time from the file's begin to the frame just read, whose
            number it is given.
        """
        self.name = source.name
        self._source = source
        self._position_ns = position_ns
        self._closed = threading.Event()
        self._start_ns: int | None = None

    @property
    def broken_count(self) -> int:
        return self._source.broken_count

    def read(self) -> Frame | None:
        """Return the next frame at its moment, None at the end. Raises: as the file's source."""
        frame = self._source.read()
        now_ns = time.monotonic_ns()
        if frame is None:
            return None
        position_ns = self._position_ns(frame.sequence)
        if self._start_ns is None:
            self._start_ns = now_ns - position_ns
        self._start_ns = max(self._start_ns, now_ns - position_ns)
        moment_ns = self._start_ns + position_ns
        if self._closed.wait((moment_ns - now_ns) / NS):
            return None
        frame.captured_ns, frame.arrived_ns = moment_ns, time.monotonic_ns()
        return frame

    def close(self) -> None:
        self._closed.set()
        self._source.close()
