"""The loop: frames in, labels out, every stage of every frame on the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from edge.backends.base import Backend
from edge.classifier import TopK, warm_up
from edge.live.capture import CaptureThread
from edge.live.counts import NS, RunCounts
from edge.live.feed import Feeder
from edge.live.inference import Inference, InferenceThread, Inferred
from edge.live.listener import Listener
from edge.live.log import RunLog
from edge.live.types import LiveOptions, LiveResult, Result, Status
from edge.preprocess import PreprocessSpec
from edge.sources.base import Source


class LiveLoop:
    """One model, ready for sources.

    The caller's thread does everything but reading the source; where the inference leaves a core
    free, frames are prepared on the thread that reads them, and the model has one of its own.
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
        counts = RunCounts(self._options, capture, log, listener)
        inference = self._inference(counts)
        reason, is_broken = "interrupted", True
        try:
            warm_up(self._backend, self._options.warmup)
            counts.start()
            inference.start()
            reason = self._loop(counts, inference, stop, on_status, on_result, on_waiting)
            is_broken = False
            if counts.has_news:
                counts.tell_status(on_status)
        except Exception as error:
            reason = f"error: {error}"
            raise
        finally:
            try:
                inference.close()
                counts.capture.close()
            finally:
                run = counts.close(reason, is_broken=is_broken)
        return LiveResult(run, reason, source.broken_count, log.failures if log else 0)

    def _inference(self, counts: RunCounts) -> Inference:
        parts = (self._feeder, self._backend, counts.capture, counts.watch)
        if self._feeder.is_ahead:
            return InferenceThread(*parts, self._options.frames)
        return Inference(*parts)

    def _loop(
        self,
        counts: RunCounts,
        inference: Inference,
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
            inferred = inference.take()
            if inferred is not None:
                result = self._name(inferred, counts)
                counts.labelled(inferred.frame, result)
                if on_result is not None:
                    on_result(result)
            elif _has_ended(inference, counts.capture, on_waiting):
                return "the source ended"
            now_ns = time.monotonic_ns()
            if now_ns >= status_ns:
                counts.watch.look_at_the_wall_clock()
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

    def _name(self, inferred: Inferred, counts: RunCounts) -> Result:
        guesses = self._top.run(inferred.scores)
        done_ns = time.monotonic_ns()
        frame = inferred.frame
        captured_ns, arrived_ns = frame.captured_ns, frame.arrived_ns
        counts.recorder.record(
            captured_ns,
            arrived_ns,
            inferred.started_ns,
            inferred.preprocessed_ns,
            inferred.inferred_ns,
            done_ns,
        )
        total_ns, age_ns = done_ns - arrived_ns, done_ns - captured_ns
        if inferred.is_interrupted:
            counts.recorder.mark_interrupted()
        return Result(
            frame.name, frame.sequence, guesses, total_ns, age_ns, inferred.is_interrupted
        )


def _has_ended(
    inference: Inference, capture: CaptureThread, on_waiting: Callable[[], None] | None
) -> bool:
    """Return whether no frame will come; raise what ended the source, if it was an error."""
    if inference.ended:
        if capture.error is not None:
            raise capture.error
        return True
    is_within_time = capture.is_within_time(time.monotonic_ns())
    # Not while the model has a frame: one that hangs must not look alive.
    if is_within_time and on_waiting is not None and not inference.is_running:
        on_waiting()
    return False
