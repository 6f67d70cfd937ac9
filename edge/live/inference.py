"""From the newest frame to its scores: on the loop's thread, or on one that does nothing else."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from edge.backends.base import Backend
from edge.live.capture import CLOSE_TIMEOUT_S, CaptureThread
from edge.live.feed import Feeder
from edge.live.watch import TimeWatch
from edge.sources.base import Frame
from edge.tensors import Array

# How long to wait for a frame before it is looked whether to go on.
POLL_S = 0.1
POLL_NS = round(POLL_S * 1e9)
# To have waited longer for a frame than this is to have waited.
WAIT_NS = 1_000_000


@dataclass(slots=True)
class Inferred:
    """A frame with its scores, [classes] as the model gives them, and when what was done.

    What was prepared ahead lies anywhere between arrival and `started_ns`; the rest is queue.
    `is_interrupted`: a pause or a suspend is part of the frame's time.
    """

    frame: Frame
    scores: Array
    started_ns: int
    preprocessed_ns: int
    inferred_ns: int
    is_interrupted: bool


class Inference:
    """Runs the model on the caller's thread."""

    def __init__(
        self, feeder: Feeder, backend: Backend, capture: CaptureThread, watch: TimeWatch
    ) -> None:
        """Args: watch: notices time that goes by without the thread that runs the model."""
        self._feeder = feeder
        self._backend = backend
        self._capture = capture
        self._watch = watch

    def start(self) -> None:
        """Begin to take frames."""

    @property
    def is_running(self) -> bool:
        """Whether the model has a frame now, or a result waits: no frame is waited for."""
        return False

    @property
    def ended(self) -> bool:
        """Whether there will be no more results."""
        return self._capture.ended

    def take(self, timeout_s: float = POLL_S) -> Inferred | None:
        """Return the next frame with its scores, or None where none came in time or none will come.

        The scores are the caller's until the next call. Raises: whatever the inference raises.
        """
        begin_ns = time.monotonic_ns()
        frame = self._capture.take(timeout_s)
        now_ns = time.monotonic_ns()
        # A frame that was there is not worth a look of its own: the one behind the inference is of
        # both. After a wait, what comes then must not be blamed for what went before.
        if frame is None or now_ns - begin_ns >= WAIT_NS:
            self._watch.look(now_ns, POLL_NS)
        return None if frame is None else self._run(frame)

    def close(self) -> None:
        """Take no more frames. One that is with the model gets no label."""

    def _run(self, frame: Frame) -> Inferred:
        took_ns = self._feeder.feed(frame)
        preprocessed_ns = time.monotonic_ns()
        scores = self._backend.run()
        inferred_ns = time.monotonic_ns()
        self._watch.look(inferred_ns)
        is_interrupted = self._watch.was_hit(frame.captured_ns)
        started_ns = preprocessed_ns - took_ns
        return Inferred(frame, scores, started_ns, preprocessed_ns, inferred_ns, is_interrupted)


class InferenceThread(Inference):
    """Runs the model on a thread of its own, while the caller's does what comes after.

    An inference leaves nothing of Python in its core's caches: there, to name a frame's classes
    takes ten times as long as elsewhere, and the model would wait for it.

    One result waits until it is taken, and while it does, no more than one other is made: nothing
    is lost, and nothing grows old where the caller is slow.
    """

    def __init__(
        self,
        feeder: Feeder,
        backend: Backend,
        capture: CaptureThread,
        watch: TimeWatch,
        frames: int | None,
    ) -> None:
        """Args: frames: take so many, and no more."""
        super().__init__(feeder, backend, capture, watch)
        self._left = frames
        self._changed = threading.Condition()
        self._waiting: Inferred | None = None
        self._is_running = False
        self._stopping = False
        self._finished = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run_all, name="inference", daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the model has a frame now, or a result waits: no frame is waited for."""
        return self._is_running or self._waiting is not None

    @property
    def ended(self) -> bool:
        """Whether there will be no more results."""
        with self._changed:
            return self._finished and self._waiting is None

    def take(self, timeout_s: float = POLL_S) -> Inferred | None:
        """Return the next result, as `Inference.take`."""
        with self._changed:
            if self._waiting is None and not self._finished:
                self._changed.wait(timeout_s)
            inferred, self._waiting = self._waiting, None
            if inferred is None and self._error is not None:
                raise self._error
            self._changed.notify()
            return inferred

    def close(self) -> None:
        """Take no more frames. One that is with the model gets no label.

        An inference that hangs is left to end with the process.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)

    def _run_all(self) -> None:
        try:
            self._watch.start()
            while not self._stopping and self._left != 0:
                inferred = super().take()
                if inferred is not None:
                    self._hand_over(inferred)
                elif self._capture.ended:
                    break
        except BaseException as error:  # noqa: BLE001 - the loop's thread raises it
            self._error = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify()

    def _run(self, frame: Frame) -> Inferred:
        self._is_running = True
        return super()._run(frame)

    def _hand_over(self, inferred: Inferred) -> None:
        if self._left is not None:
            self._left -= 1
        # The next inference writes into the same memory.
        inferred.scores = inferred.scores.copy()
        with self._changed:
            while self._waiting is not None and not self._stopping:
                self._changed.wait()
            self._waiting, self._is_running = inferred, False
            self._changed.notify()
