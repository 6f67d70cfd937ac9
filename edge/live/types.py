"""What the loop is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass

from edge.classifier import Guess
from edge.latency.recorder import Interval


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
    """What one frame is. `guesses`: best first; `age_ns`: from the sensor to the label.

    `is_interrupted`: a pause of the loop or a suspend of the machine is part of that time.
    """

    name: str
    sequence: int
    guesses: tuple[Guess, ...]
    total_ns: int
    age_ns: int
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """How the run goes. `result` is the last frame's, None before the first.

    `fps` counts labels since the last status. `p50_ns` and `p99_ns` are of the time from a
    frame's arrival to its label, over the log's interval in progress. `processed` and `skipped`
    count from the start. `outage_ns` is for how long the camera is lost now, 0 where it is not.
    `notice` says in a few words what is wrong with the camera now, "" where nothing is.
    """

    result: Result | None
    fps: float
    p50_ns: int
    p99_ns: int
    processed: int
    skipped: int
    outage_ns: int
    notice: str = ""


@dataclass(frozen=True, slots=True)
class LiveResult:
    """A whole run: its figures, why it ended, how many pictures were broken and log writes failed.

    `run.captured`, which the capture thread counts, is `run.processed` + `run.skipped`, which the
    loop counts: a frame counts when its fate is known, and one that still waits at the end has
    none. What the source itself missed, as a gap in `Frame.sequence` says, is captured and skipped,
    and so is a frame that was taken, but got no label because the run broke.
    """

    run: Interval
    reason: str
    broken: int
    log_failures: int
