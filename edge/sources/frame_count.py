"""Counts a camera's frames, those included that never came."""

from __future__ import annotations


class FrameCount:
    """Numbers frames by what is known of each; a gap is frames that were lost on the way.

    A number of the buffer tells which frames were dropped behind whoever gave the number; the
    distance of two of the sensor's stamps, in frame durations, tells of all. Neither is there for
    every camera, and of two gaps the larger is the true one.
    """

    def __init__(self) -> None:
        self._sequence = -1
        self._number: int | None = None
        self._stamp_ns: int | None = None
        self._duration_ns = 0

    def next(self, number: int | None, stamp_ns: int | None, duration_ns: int) -> int:
        """Return the number of a frame, counted from 0.

        Args: number: that of its buffer, None where unknown; stamp_ns: when the sensor began it,
            None where unknown; duration_ns: from there to the next frame's begin, 0 where unknown.
        """
        step = 1
        if number is not None and self._number is not None:
            step = max(step, number - self._number)
        if stamp_ns is not None and self._stamp_ns is not None and self._duration_ns > 0:
            step = max(step, round((stamp_ns - self._stamp_ns) / self._duration_ns))
        self._sequence += step
        self._number, self._stamp_ns, self._duration_ns = number, stamp_ns, duration_ns
        return self._sequence
