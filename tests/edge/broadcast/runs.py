"""Stand-ins for a run that is broadcast: frames, results, intervals, a view that took them in."""

from __future__ import annotations

import time

import numpy as np

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.classifier import Guess
from edge.device import Health
from edge.latency.incidents import NOTHING, Incidents
from edge.latency.recorder import Interval, Recorder
from edge.live import Result, Status
from edge.sources.base import Frame
from edge.tensors import U8

FACTS = {
    "model": "tiny.tflite",
    "model_sha256": "ab" * 32,
    "card": "tiny",
    "runtime": "fake 1.0",
    "threads": 2,
    "source": "list",
    "timestamps": "sensor",
}


def frame(sequence: int = 0, pixels: U8 | None = None) -> Frame:
    if pixels is None:
        pixels = np.full((48, 64, 3), sequence % 256, np.uint8)
    now_ns = time.monotonic_ns()
    return Frame(pixels, "bgr", sequence, now_ns - 10**6, now_ns)


def result(index: int, label: str = "", *, sequence: int = 0, confidence: float = 0.9) -> Result:
    guesses = (Guess(index, label or f"class {index}", confidence), Guess(7, "other", 0.05))
    return Result("", sequence, guesses, 2_000_000, 3_000_000)


def status(processed: int = 10, skipped: int = 2, outage_ns: int = 0, notice: str = "") -> Status:
    return Status(result(0), 30.5, 2_000_000, 4_000_000, processed, skipped, outage_ns, notice)


def interval(durations_ms: list[float], incidents: Incidents = NOTHING) -> Interval:
    """Return an interval whose stages all took these durations, in turn."""
    recorder = Recorder()
    for duration_ms in durations_ms:
        step = round(duration_ms * 1e6)
        # `total` is from arrival to label, four stages of which take the time.
        recorder.record(0, step, 2 * step, 3 * step, 4 * step, 5 * step)
    return recorder.take_interval(len(durations_ms) + 1, 1, incidents)


def view(health: Health | None = None, **facts: object) -> RunView:
    """Return a view that knows of one result, one status and one interval."""
    made = RunView(
        facts={**FACTS, **facts},
        labels=("a", "b"),
        ask_health=lambda: health or Health(48.5, 0x50005),
    )
    now_ns = time.monotonic_ns()
    made.take(wire.Message(*packed(wire.results_message([(now_ns, result(3))], 4))))
    made.take(wire.Message(*packed(wire.status_message(status(), 1))))
    made.take(wire.Message(*packed(wire.interval_message(interval([1, 2, 3])))))
    return made


def packed(
    message: tuple[str, dict[str, object], list[bytes]],
) -> tuple[str, dict[str, object], tuple[bytes, ...]]:
    kind, fields, blobs = message
    return kind, fields, tuple(bytes(blob) for blob in blobs)
