"""What one run counts, and whom it tells: the log, the status, a listener."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge.latency.recorder import Interval, Recorder
from edge.live.capture import CaptureThread
from edge.live.listener import Listener
from edge.live.log import RunLog
from edge.live.types import LiveOptions, Result, Status
from edge.live.watch import TimeWatch
from edge.sources.base import Frame

NS = 1_000_000_000


class RunCounts:
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
        self.watch = TimeWatch()
        self._log = log
        # At the last interval (captured, skipped), and at the last status.
        self._logged = (0, 0)
        self._shown = (time.monotonic_ns(), 0)

    def start(self) -> None:
        """Begin to read and to measure; what came before is in no figure."""
        self.recorder.start()
        self.watch.start()
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
            notice=self.capture.notice(now_ns),
        )

    def close_interval(self, *, is_broken: bool = False) -> None:
        """Close the interval in progress and write it to the log.

        A frame that is with the model has no fate yet; `is_broken`: it will not have a label.
        """
        captured, skipped, taken = self.capture.counts
        if is_broken:
            skipped += taken - self.processed
        else:
            captured -= taken - self.processed
        captured_before, skipped_before = self._logged
        self._logged = (captured, skipped)
        self.watch.look_at_the_wall_clock()
        incidents = self.watch.take().merged(self.capture.incidents(time.monotonic_ns()))
        interval = self.recorder.take_interval(
            captured - captured_before, skipped - skipped_before, incidents
        )
        if self._log is not None:
            self._log.interval(interval)
        if self._listener is not None:
            self._listener.interval(interval)

    def close(self, reason: str, *, is_broken: bool) -> Interval:
        """Close the last interval and the log, and return the whole run."""
        self.close_interval(is_broken=is_broken)
        run = self.recorder.run()
        if self._log is not None:
            self._log.close(run, reason)
        return run
