"""A camera or stream that comes back: where it fails it is closed, and opened again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from edge.sources.base import (
    CameraLostError,
    Frame,
    LastingError,
    Source,
    SourceError,
    Timestamps,
    details_of,
)
from edge.sources.outages import Outages
from edge.text import warn

NS = 1_000_000_000
# How long a camera may give no frame. The time-outs of the sources themselves are shorter.
MAX_OUTAGE_S = 60.0
# Of a camera that was asked for a slow rate, so many frames must be missing.
MIN_MISSING_FRAMES = 3
# The waits before it is opened again: each twice as long as the one before.
FIRST_DELAY_S = 0.5
MAX_DELAY_S = 15.0
# What closing, opening and a read may take in one piece beyond the limit before it is a hang.
GRACE_S = 15.0


def keep_open(
    open_one: Callable[[], Source],
    *,
    max_outage_s: float = MAX_OUTAGE_S,
    fps: float | None = None,
) -> Source:
    """Return what `open_one` opens; where that is live, as a `ReopeningSource`.

    Args: max_outage_s: as there, but at least three frames of the rate `fps`.
    Raises: whatever `open_one` raises: what cannot be opened at first is not waited for.
    """
    source = open_one()
    if not source.is_live:
        return source
    slowest_s = 0.0 if fps is None else MIN_MISSING_FRAMES / fps
    return ReopeningSource(source, open_one, max_outage_s=max(max_outage_s, slowest_s))


class ReopeningSource:
    """A live source that survives its camera.

    When `read` of the source raises SourceError (but no LastingError), the source is closed, and
    after a wait opened again: 0.5 s, 1 s, 2 s and so on to 15 s, always the same; the waits begin
    anew when the camera has worked for as long as the longest of them. `Frame.sequence` goes on
    where it was. A frame that is no picture (cut off, of another dtype) is passed over and counted
    in `broken_count`.

    An outage is over with the next good frame. Without one for `max_outage_s` the camera is lost:
    `read` raises CameraLostError, so that the process ends and a service manager starts it anew.
    """

    is_live = True

    def __init__(
        self,
        source: Source,
        open_one: Callable[[], Source],
        *,
        max_outage_s: float = MAX_OUTAGE_S,
        first_delay_s: float = FIRST_DELAY_S,
        say: Callable[[str], None] = warn,
    ) -> None:
        """Take over `source`, which is open.

        Args: open_one: opens the same once more, or raises SourceError; say: is told, in a
            sentence, of each outage and of its end.
        """
        self.outages = Outages()
        self.max_outage_s = max_outage_s
        self._source = source
        self._open_one = open_one
        self._first_delay_s = self._delay_s = first_delay_s
        self._say = say
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._broken = 0
        self._good_ns: int | None = None  # when the last good frame came, or reading began
        self._steady_ns = 0  # when the last outage ended
        self._next_sequence = 0
        self._offset: int | None = 0  # of our sequence to that of the source; None: not known yet

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def timestamps(self) -> Timestamps:
        return self._source.timestamps

    @property
    def details(self) -> dict[str, str]:
        """What the source says of itself."""
        return details_of(self._source)

    @property
    def broken_count(self) -> int:
        """How many frames were no pictures, or could not be read."""
        return self._broken + self._source.broken_count

    def read(self) -> Frame | None:
        """Return the next good frame, or None where the source ended or was closed.

        Raises: CameraLostError: there was none for `max_outage_s`; LastingError: as the source.
        """
        if self._good_ns is None:
            self._good_ns = time.monotonic_ns()
        while not self._closed.is_set():
            try:
                frame = self._source.read()
            except LastingError:
                raise
            except SourceError as error:
                self._reopen(error)
                continue
            if frame is None:
                break
            self._number(frame)
            if is_picture(frame):
                self._came(frame)
                return frame
            self._broken += 1
            self._require_hope(_broken_error(self.name, frame))
        return None

    def close(self) -> None:
        """Close it for good; a `read` that waits returns None."""
        with self._lock:
            was_closed = self._closed.is_set()
            self._closed.set()
            source = self._source
        if not was_closed:
            source.close()

    def require_answer(self, now_ns: int) -> None:
        """Raise CameraLostError where `read` hangs: it should long have given up by itself.

        For a thread other than the one that reads.
        """
        since_ns = self._good_ns
        waited_s = 0.0 if since_ns is None else (now_ns - since_ns) / NS
        if waited_s > self.max_outage_s + GRACE_S and not self._closed.is_set():
            raise CameraLostError(
                f"{self.name}: reading, closing or opening it has not come back for "
                f"{waited_s:.0f} s: the driver hangs; this process ends, and only a new one can "
                "open it again"
            )

    def _reopen(self, error: SourceError) -> None:
        """Return with another source in place of the lost one, or when closed."""
        self._begin_outage(error)
        while True:
            self._give_back()
            left_s = self._require_hope(error)
            if self._closed.wait(min(self._delay_s, left_s)):
                return
            self._delay_s = min(2 * self._delay_s, MAX_DELAY_S)
            try:
                source = self._open_same()
            except SourceError as cause:
                error = cause
                continue
            with self._lock:
                self._source, self._offset = source, None
                is_closed = self._closed.is_set()
            if is_closed:
                source.close()
            return

    def _open_same(self) -> Source:
        source = self._open_one()
        found, lost = (source.name, source.timestamps), (self.name, self.timestamps)
        if found != lost:
            source.close()
            raise SourceError(
                f"{lost[0]} (times from: {lost[1]}) was lost, and {found[0]} ({found[1]}) came "
                "in its place, which is another camera"
            )
        return source

    def _give_back(self) -> None:
        self._broken, source = self.broken_count, self._source
        # What is lost may refuse everything; it is out of use whatever it says.
        with suppress(Exception):
            source.close()
        with self._lock:
            self._source = _Nothing(source.name, source.timestamps)

    def _begin_outage(self, error: SourceError) -> None:
        outages, since_ns = self.outages, self._good_ns
        if outages.since_ns is not None or since_ns is None:
            return  # it goes on
        if since_ns - self._steady_ns > MAX_DELAY_S * NS:
            self._delay_s = self._first_delay_s
        self.outages = outages.begun_at(since_ns)
        self._say(f"{error}. It is closed and opened again")

    def _require_hope(self, cause: SourceError) -> float:
        """Return how many seconds are left. Raises: CameraLostError: none is."""
        assert self._good_ns is not None  # noqa: S101 - narrows the type; `read` has set it
        gone_s = (time.monotonic_ns() - self._good_ns) / NS
        if gone_s >= self.max_outage_s:
            raise CameraLostError(
                f"{self.name}: no frame for {math.floor(gone_s)} s, the limit is "
                f"{self.max_outage_s:g} s (--max-outage): {cause}"
            ) from cause
        return self.max_outage_s - gone_s

    def _number(self, frame: Frame) -> None:
        if self._offset is None:
            self._offset = self._next_sequence - frame.sequence
        frame.sequence += self._offset
        self._next_sequence = frame.sequence + 1

    def _came(self, frame: Frame) -> None:
        outages = self.outages
        if outages.since_ns is not None:
            gone_ns = frame.arrived_ns - outages.since_ns
            self.outages = outages.ended_by(frame.arrived_ns)
            self._steady_ns = frame.arrived_ns
            self._say(f"{self.name}: frames again, after {gone_ns / NS:.1f} s without")
        self._good_ns = frame.arrived_ns


def is_picture(frame: Frame) -> bool:
    """Return whether the pixels are uint8 [H, W, 3], or [H, W] of a gray frame."""
    pixels = frame.pixels
    depth = () if frame.color == "gray" else (3,)
    is_shaped = pixels.ndim >= 2 and pixels.shape[2:] == depth and min(pixels.shape[:2]) > 0
    return is_shaped and pixels.dtype == np.uint8


def _broken_error(name: str, frame: Frame) -> SourceError:
    return SourceError(
        f"{name}: a frame of {frame.pixels.dtype} {list(frame.pixels.shape)} is no picture; "
        "allowed: uint8 [height, width, 3]"
    )


class _Nothing:
    """What stands in a lost source's place until it is open again."""

    is_live = True
    broken_count = 0

    def __init__(self, name: str, timestamps: Timestamps) -> None:
        self.name = name
        self.timestamps = timestamps

    def read(self) -> Frame | None:
        return None

    def close(self) -> None:
        pass
