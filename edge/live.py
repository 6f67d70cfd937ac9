"""The loop: frames in, labels out, every stage of every frame on the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.backends.base import Backend
from edge.classifier import Guess, TopK, warm_up
from edge.latency.recorder import Interval, Recorder
from edge.live_capture import CaptureThread
from edge.live_feed import Feeder
from edge.live_listener import Listener
from edge.live_log import RunLog
from edge.preprocess import PreprocessSpec
from edge.sources.base import Frame, Source

NS = 1_000_000_000
# How long the loop waits for a frame before it looks at the clock and at `stop` again.
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How long a run lasts and what it says.

    `duration_s` and `frames` end it (None: when the source does). `warmup` inferences run before
    the first frame and are in no figure. `status_s` is the time between two calls of `on_status`,
    `interval_s` between two lines of the log. `is_ahead`: whether frames are prepared on the
    capture thread (None: where cores allow).
    """

    top: int = 5
    duration_s: float | None = None
    frames: int | None = None
    warmup: int = 3
    status_s: float = 1.0
    interval_s: float = 10.0
    trace: bool = False
    is_ahead: bool | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What one frame is. `guesses`: best first; `age_ns`: from the sensor to the label."""

    name: str
    sequence: int
    guesses: tuple[Guess, ...]
    total_ns: int
    age_ns: int


@dataclass(frozen=True, slots=True)
class Status:
    """How the run goes. `result` is the last frame's, None before the first.

    `fps` counts labels since the last status. `p50_ns` and `p99_ns` are of the time from a
    frame's arrival to its label, over the log's interval in progress. `processed` and `skipped`
    count from the start. `outage_ns` is for how long the camera is lost now, 0 where it is not.
    """

    result: Result | None
    fps: float
    p50_ns: int
    p99_ns: int
    processed: int
    skipped: int
    outage_ns: int


@dataclass(frozen=True, slots=True)
class LiveResult:
    """A whole run: its figures, why it ended, how many pictures were broken and log writes failed.

    `run.captured` is `run.processed` + `run.skipped`: a frame counts when its fate is known, and
    one that still waits at the end has none. What the source itself missed, as a gap in
    `Frame.sequence` says, is captured and skipped.
    """

    run: Interval
    reason: str
    broken: int
    log_failures: int


class LiveLoop:
    """One model, ready for sources.

    The caller's thread does everything but reading the source, and preparing its frames where
    that can be done ahead.
    """

    def __init__(
        self,
        backend: Backend,
        preprocess: PreprocessSpec,
        labels: Sequence[str],
        options: LiveOptions,
    ) -> None:
        """Args: labels: a name a class, or none.

        Raises: PreprocessError: the preprocessing does not go with the model's input.
        """
        self._backend = backend
        self._options = options
        self._feeder = Feeder(preprocess, backend, is_ahead=options.is_ahead)
        self._top = TopK(backend.spec.output, labels, options.top)

    def run(
        self,
        source: Source,
        *,
        stop: threading.Event,
        on_status: Callable[[Status], None] | None = None,
        on_result: Callable[[Result], None] | None = None,
        on_waiting: Callable[[], None] | None = None,
        log: RunLog | None = None,
        listener: Listener | None = None,
    ) -> LiveResult:
        """Classify frames until the source or the options end the run, or `stop` is set.

        Closes the source, and completes the log whatever ends the run.

        Args: on_status: called about once in `status_s`, and at the end; on_result: once a frame;
            on_waiting: while no frame comes from a source that gives up by itself in time.
            What they take is in no figure, but delays the next frame. listener: hears of every
            frame, status and interval.
        Raises: CameraLostError: the source hangs; SourceError, BackendError, PreprocessError:
            what broke the run.
        """
        capture = CaptureThread(source, self._feeder.prepare)
        counts = _Counts(self._options, capture, log, listener)
        reason = "interrupted"
        try:
            warm_up(self._backend, self._options.warmup)
            counts.start()
            reason = self._loop(counts, stop, on_status, on_result, on_waiting)
            if counts.has_news:
                counts.tell_status(on_status)
        except Exception as error:
            reason = f"error: {error}"
            raise
        finally:
            try:
                counts.capture.close()
            finally:
                run = counts.close(reason)
        return LiveResult(run, reason, source.broken_count, log.failures if log else 0)

    def _loop(
        self,
        counts: _Counts,
        stop: threading.Event,
        on_status: Callable[[Status], None] | None,
        on_result: Callable[[Result], None] | None,
        on_waiting: Callable[[], None] | None,
    ) -> str:
        """Return why the run ended."""
        options = self._options
        start_ns = time.monotonic_ns()
        status_ns = start_ns + round(options.status_s * NS)
        interval_ns = start_ns + round(options.interval_s * NS)
        end_ns = None if options.duration_s is None else start_ns + round(options.duration_s * NS)
        while not stop.is_set():
            frame = counts.capture.take(POLL_S)
            if frame is not None:
                result = self._classify(frame, counts.recorder)
                counts.labelled(frame, result)
                if on_result is not None:
                    on_result(result)
            elif _has_ended(counts.capture, on_waiting):
                return "the source ended"
            now_ns = time.monotonic_ns()
            if now_ns >= status_ns:
                counts.tell_status(on_status)
                status_ns = now_ns + round(options.status_s * NS)
            if now_ns >= interval_ns:
                counts.close_interval()
                interval_ns = now_ns + round(options.interval_s * NS)
            if counts.processed == options.frames:
                return f"{options.frames} frames"
            if end_ns is not None and now_ns >= end_ns:
                return f"{options.duration_s:g} s"
        return "stopped"

    def _classify(self, frame: Frame, recorder: Recorder) -> Result:
        clock = time.monotonic_ns
        took_ns = self._feeder.feed(frame)
        preprocessed_ns = clock()
        # What was prepared ahead lies anywhere between arrival and now; the rest of that is queue.
        started_ns = preprocessed_ns - took_ns
        scores = self._backend.run()
        inferred_ns = clock()
        guesses = self._top.run(scores)
        done_ns = clock()
        captured_ns, arrived_ns = frame.captured_ns, frame.arrived_ns
        recorder.record(captured_ns, arrived_ns, started_ns, preprocessed_ns, inferred_ns, done_ns)
        return Result(
            frame.name, frame.sequence, guesses, done_ns - arrived_ns, done_ns - captured_ns
        )


def _has_ended(capture: CaptureThread, on_waiting: Callable[[], None] | None) -> bool:
    """Return whether no frame will come; raise what ended the source, if it was an error."""
    if capture.ended:
        if capture.error is not None:
            raise capture.error
        return True
    if capture.is_within_time(time.monotonic_ns()) and on_waiting is not None:
        on_waiting()
    return False


class _Counts:
    """What one run has counted so far, and where it writes it."""

    def __init__(
        self,
        options: LiveOptions,
        capture: CaptureThread,
        log: RunLog | None,
        listener: Listener | None,
    ) -> None:
        self.capture = capture
        self._listener = listener
        self.recorder = Recorder(trace=options.trace)
        self.result: Result | None = None
        self.processed = 0
        self._log = log
        # At the last interval, and at the last status.
        self._logged = (0, 0)
        self._shown = (time.monotonic_ns(), 0)

    def start(self) -> None:
        """Begin to read and to measure; what came before is in no figure."""
        self.recorder.start()
        self._shown = (time.monotonic_ns(), 0)
        self.capture.start()

    @property
    def has_news(self) -> bool:
        """Whether a frame was processed since the last status, or there never was one."""
        return self.processed > self._shown[1] or self.processed == 0

    def labelled(self, frame: Frame, result: Result) -> None:
        """Count a frame that has its label."""
        self.result = result
        self.processed += 1
        if self._listener is not None:
            self._listener.labelled(frame, result)

    def tell_status(self, on_status: Callable[[Status], None] | None) -> None:
        """Say how the run goes to whoever wants to know."""
        if on_status is None and self._listener is None:
            return
        status = self._status()
        if on_status is not None:
            on_status(status)
        if self._listener is not None:
            self._listener.status(status)

    def _status(self) -> Status:
        """Return how the run goes; its rate is that since the last call."""
        now_ns = time.monotonic_ns()
        shown_ns, shown = self._shown
        self._shown = (now_ns, self.processed)
        return Status(
            result=self.result,
            fps=(self.processed - shown) * NS / max(now_ns - shown_ns, 1),
            p50_ns=self.recorder.percentile("total", 50),
            p99_ns=self.recorder.percentile("total", 99),
            processed=self.processed,
            skipped=self.capture.skipped,
            outage_ns=self.capture.outages.current_ns(now_ns),
        )

    def close_interval(self) -> None:
        """Close the interval in progress and write it to the log."""
        skipped = self.capture.skipped
        processed_before, skipped_before = self._logged
        self._logged = (self.processed, skipped)
        lost = skipped - skipped_before
        interval = self.recorder.take_interval(self.processed - processed_before + lost, lost)
        if self._log is not None:
            self._log.interval(interval)
        if self._listener is not None:
            self._listener.interval(interval)

    def close(self, reason: str) -> Interval:
        """Close the last interval and the log, and return the whole run."""
        self.close_interval()
        run = self.recorder.run()
        if self._log is not None:
            self._log.close(run, reason)
        return run
