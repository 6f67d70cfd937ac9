"""The thread that reads a source, and the one place where a frame waits for the loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge.latency.incidents import Incidents
from edge.live.pictures import PictureWatch
from edge.sources.base import Frame, Source
from edge.sources.outages import Outages
from edge.sources.reopening import ReopeningSource

NS = 1_000_000_000
CLOSE_TIMEOUT_S = 2.0
# A picture that does not change for so long is said to the user; until then it may be chance.
FROZEN_S = 5.0


class CaptureThread:
    """Reads `source` and hands its frames to the loop, one at a time.

    A live source does not wait: its newer frame replaces the one that waits, and the loss is
    counted in `skipped`, as are the frames that the source says it missed itself. A file waits
    until its frame has been taken, so that none is lost. Nothing is read before `start`.

    Every frame is `captured` as soon as its fate is known: it was taken, or it was skipped. One
    that waits has none yet.
    """

    def __init__(self, source: Source, prepare: Callable[[Frame], None] | None = None) -> None:
        """Args: prepare: done with each frame on this thread, before the loop may have it."""
        self._source = source
        self._prepare = prepare
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._captured = 0
        self._skipped = 0
        self._taken = 0
        self._pictures = PictureWatch()
        self._gap = _Gap()
        # At the last call of `incidents`.
        self._told = ((0, 0, 0, 0), Outages(), 0)
        self._next_sequence: int | None = None
        self._ended = False
        self._stopping = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read_all, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._gap.began_ns = time.monotonic_ns()
        self._thread.start()

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many frames were captured, skipped and taken, of one moment."""
        with self._changed:
            return self._captured - (self._waiting is not None), self._skipped, self._taken

    @property
    def skipped(self) -> int:
        """How many frames were replaced by a newer one, or are a gap in `Frame.sequence`."""
        return self._skipped

    @property
    def ended(self) -> bool:
        """Whether the source has no more frames, and none waits."""
        with self._changed:
            return self._ended and self._waiting is None

    @property
    def error(self) -> Exception | None:
        """What ended the source, where it did not end by itself."""
        return self._error

    @property
    def outages(self) -> Outages:
        """How often, and for how long, the camera was lost."""
        return self._source.outages if isinstance(self._source, ReopeningSource) else Outages()

    def incidents(self, now_ns: int) -> Incidents:
        """Return what befell the source since the last call."""
        counts, (before, outages_before, before_ns) = self._counted(), self._told
        outages = self.outages
        self._told = counts, outages, now_ns
        with self._changed:
            longest_gap_ns = self._gap.take(now_ns) if self._source.is_live else 0
        broken, blank, identical, resized = (n - b for n, b in zip(counts, before, strict=True))
        return Incidents(
            outages=outages.since(outages_before, before_ns, now_ns),
            broken=broken,
            blank=blank,
            identical=identical,
            resized=resized,
            longest_gap_ns=longest_gap_ns,
        )

    def _counted(self) -> tuple[int, int, int, int]:
        """Return how many frames were broken, blank, identical and resized so far."""
        pictures = self._pictures
        return self._source.broken_count, pictures.blank, pictures.identical, pictures.resized

    def notice(self, now_ns: int) -> str:
        """Return what is wrong with the camera now, in a few words; "" where nothing is."""
        lost_ns = self.outages.current_ns(now_ns)
        if lost_ns:
            return f"no frame for {max(1, lost_ns // NS)} s, opening the camera again"
        since_ns = self._pictures.frozen_since_ns
        if since_ns is not None and now_ns - since_ns >= FROZEN_S * NS:
            return f"the picture has not changed for {(now_ns - since_ns) / NS:.0f} s"
        return "the picture is blank" if self._pictures.is_blank else ""

    def is_within_time(self, now_ns: int) -> bool:
        """Return whether the source is one that gives up by itself, and has time left for it.

        Raises: CameraLostError: it should have given up, and hangs.
        """
        if not isinstance(self._source, ReopeningSource):
            return False
        self._source.require_answer(now_ns)
        return True

    def take(self, timeout_s: float) -> Frame | None:
        """Return the waiting frame, or None where none came in time or none will come."""
        with self._changed:
            if self._waiting is None and not self._ended:
                self._changed.wait(timeout_s)
            frame, self._waiting = self._waiting, None
            if frame is not None:
                self._taken += 1
                self._changed.notify()
            return frame

    def close(self) -> None:
        """Stop reading and close the source. A frame that waits is dropped and not counted.

        A close or a read that does not come back within 2 s is left to end with the process.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        errors: list[Exception] = []
        closer = threading.Thread(
            target=self._close_source, args=(errors,), name="closing", daemon=True
        )
        closer.start()
        closer.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)
        if errors:
            raise errors[0]

    def _close_source(self, errors: list[Exception]) -> None:
        try:
            self._source.close()
        except Exception as error:  # noqa: BLE001 - `close` raises it
            errors.append(error)

    def _read_all(self) -> None:
        try:
            while self._may_read():
                frame = self._source.read()
                if frame is None:
                    break
                if self._source.is_live:
                    self._pictures.look(frame.pixels, frame.arrived_ns)
                if self._prepare is not None:
                    try:
                        self._prepare(frame)
                    except Exception:
                        self._count(frame, lost=1)
                        raise
                self._hand_over(frame)
        except Exception as error:  # noqa: BLE001 - the loop's thread raises it
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _may_read(self) -> bool:
        """Return False when it is time to stop; for a file, wait until its last frame was taken."""
        with self._changed:
            if not self._source.is_live:
                self._changed.wait_for(lambda: self._waiting is None or self._stopping)
            return not self._stopping

    def _hand_over(self, frame: Frame) -> None:
        with self._changed:
            self._count(frame, lost=int(self._waiting is not None))
            self._waiting = frame
            self._changed.notify_all()

    def _count(self, frame: Frame, lost: int) -> None:
        missed = 0
        if self._next_sequence is not None:
            missed = max(0, frame.sequence - self._next_sequence)
        self._next_sequence = frame.sequence + 1
        self._captured += missed + 1
        self._skipped += missed + lost
        self._gap.arrived(frame.arrived_ns)


class _Gap:
    """The longest time between two frames. `began_ns` is when the last one came, or reading began.

    What lies between two calls of `take` counts for each of the two as far as it lies before it.
    """

    def __init__(self) -> None:
        self.began_ns = 0
        self._longest_ns = 0

    def arrived(self, now_ns: int) -> None:
        self._longest_ns = max(self._longest_ns, now_ns - self.began_ns)
        self.began_ns = now_ns

    def take(self, now_ns: int) -> int:
        """Return the longest since the last call, the one that goes on now included."""
        longest_ns, self._longest_ns = max(self._longest_ns, now_ns - self.began_ns), 0
        return longest_ns
