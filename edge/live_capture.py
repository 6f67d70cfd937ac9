"""The thread that reads a source, and the one place where a frame waits for the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.sources.base import Frame, Source
from edge.sources.reopening import Outages, ReopeningSource

CLOSE_TIMEOUT_S = 2.0


class CaptureThread:
    """Reads `source` and hands its frames to the loop, one at a time.

    A live source does not wait: its newer frame replaces the one that waits, and the loss is
    counted in `skipped`, as are the frames that the source says it missed itself. A file waits
    until its frame has been taken, so that none is lost. Nothing is read before `start`.
    """

    def __init__(self, source: Source, prepare: Callable[[Frame], None] | None = None) -> None:
        """Args: prepare: done with each frame on this thread, before the loop may have it."""
        self._source = source
        self._prepare = prepare
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._skipped = 0
        self._next_sequence: int | None = None
        self._ended = False
        self._stopping = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read_all, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

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
            self._changed.wait_for(lambda: self._waiting is not None or self._ended, timeout_s)
            frame, self._waiting = self._waiting, None
            self._changed.notify_all()
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
                if self._prepare is not None:
                    self._prepare(frame)
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
            if self._waiting is not None:
                self._skipped += 1
            if self._next_sequence is not None:
                self._skipped += max(0, frame.sequence - self._next_sequence)
            self._next_sequence = frame.sequence + 1
            self._waiting = frame
            self._changed.notify_all()
