"""Who else hears of a run, and what the loop asks of them."""

from __future__ import annotations

from typing import Protocol

from edge.latency.recorder import Interval
from edge.live.types import Result, Status
from edge.sources.base import Frame


class Listener(Protocol):
    """Hears of a run as it goes, on the loop's thread.

    Every call delays the next frame: keep the reference and return. What is handed over does not
    change any more, so that another thread may look at it later.
    """

    def labelled(self, frame: Frame, result: Result) -> None:
        """Hear of a frame that has its label."""
        ...

    def status(self, status: Status) -> None:
        """Hear how the run goes, about once in `LiveOptions.status_s`."""
        ...

    def interval(self, interval: Interval) -> None:
        """Hear of a closed interval, whether there is a log or not."""
        ...
