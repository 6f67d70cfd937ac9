"""Logs with known contents, for the tests beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.latency.incidents import NOTHING, Incidents
from edge.latency.log import LogWriter
from edge.latency.log_lines import RunHeader
from edge.latency.recorder import Interval, Recorder

MS = 1_000_000
SECOND = 1_000_000_000

HEADER = RunHeader(
    model="/models/digits.int8.tflite",
    model_sha256="ab" * 32,
    card="digits",
    runtime="litert 2.1",
    source="picamera2",
    timestamps="sensor",
    threads=2,
    interval_s=10,
    started="2026-03-02T09:14:07+00:00",
    started_ns=SECOND,
    board={"model": "Raspberry Pi 5"},
    camera={"stream": "main BGR888 340x256"},
    versions={"edge-deploy": "0.1.0"},
)


class Clock:
    """A clock that goes when told."""

    def __init__(self, now_ns: int = SECOND) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def record_frames(recorder: Recorder, count: int, *, seed: int = 0, start_ns: int = SECOND) -> None:
    """Record `count` frames with durations of some ms, the same for the same seed."""
    steps = np.random.default_rng(seed).integers(MS // 2, 30 * MS, (count, 5))
    for row in steps:
        stamps = (start_ns + np.concatenate(([0], np.cumsum(row)))).tolist()
        recorder.record(*stamps)


def intervals(
    counts: tuple[int, ...], *, trace: bool = False, incidents: Sequence[Incidents] = ()
) -> tuple[list[Interval], Interval]:
    """Return one interval of 10 s for each of `counts` frames, one more captured, and the run.

    Args: incidents: of each interval (default: none).
    """
    clock = Clock()
    recorder = Recorder(clock=clock, trace=trace)
    taken = []
    for seed, count in enumerate(counts):
        record_frames(recorder, count, seed=seed)
        clock.now_ns += 10 * SECOND
        befell = incidents[seed] if incidents else NOTHING
        taken.append(recorder.take_interval(captured=count + 1, skipped=1, incidents=befell))
    return taken, recorder.run()


def write_log(
    path: Path,
    counts: tuple[int, ...] = (40, 30, 50),
    *,
    header: RunHeader = HEADER,
    health: Mapping[str, object] | None = None,
    reason: str | None = "duration reached",
    trace: bool = False,
    incidents: Sequence[Incidents] = (),
) -> Path:
    """Write a log of `intervals(counts)`; without a reason the run looks killed."""
    if health is None:
        health = {"temperature_c": 51.5, "throttled": []}
    taken, run = intervals(counts, trace=trace, incidents=incidents)
    with LogWriter(path, header) as writer:
        for interval in taken:
            writer.interval(interval, health)
        if reason is not None:
            writer.close(run, reason)
    return path


def other_run(**changes: object) -> RunHeader:
    """Return the header of another run."""
    return replace(HEADER, started_ns=2 * SECOND, **changes)  # type: ignore[arg-type]
