from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from edge.latency.recorder import STAGES, Interval, Recorder
from tests.edge.latency.logs import MS, SECOND, Clock, record_frames

# captured, arrived, started, preprocessed, inferred, done
STAMPS = (100 * MS, 104 * MS, 105 * MS, 107 * MS, 127 * MS, 128 * MS)
EXPECTED_MS = {
    "capture": 4,
    "queue": 1,
    "preprocess": 2,
    "inference": 20,
    "postprocess": 1,
    "total": 24,
    "age": 28,
}


def recorder(*, trace: bool = False, capacity: int = 1024) -> Recorder:
    return Recorder(trace=trace, clock=Clock(), capacity=capacity)


def counts(interval: Interval) -> dict[str, Any]:
    return {stage: histogram.counts.tolist() for stage, histogram in interval.histograms.items()}


def test_each_stage_is_the_time_between_its_stamps() -> None:
    recording = recorder()
    recording.record(*STAMPS)
    interval = recording.take_interval(captured=1, skipped=0)
    assert tuple(interval.histograms) == STAGES
    assert {s: h.min_ns // MS for s, h in interval.histograms.items()} == EXPECTED_MS
    assert {s: h.max_ns // MS for s, h in interval.histograms.items()} == EXPECTED_MS


@pytest.mark.parametrize("capacity", [1, 3, 100, 101])
def test_when_frames_are_folded_makes_no_difference(capacity: int) -> None:
    small, large = recorder(capacity=capacity), recorder()
    for recording in (small, large):
        record_frames(recording, 100)
    a, b = small.take_interval(100, 0), large.take_interval(100, 0)
    assert counts(a) == counts(b)
    assert a.processed == b.processed == 100


def test_an_interval_has_its_own_time_and_counts() -> None:
    clock = Clock(5)
    recording = Recorder(clock=clock)
    record_frames(recording, 3)
    clock.now_ns = 17
    first = recording.take_interval(captured=5, skipped=2)
    clock.now_ns = 29
    second = recording.take_interval(captured=1, skipped=1)
    assert (first.start_ns, first.end_ns, second.start_ns, second.end_ns) == (5, 17, 17, 29)
    assert (first.captured, first.processed, first.skipped) == (5, 3, 2)
    assert (second.captured, second.processed, second.skipped) == (1, 0, 1)
    assert first.histograms["total"].count == 3
    assert second.histograms["total"].count == 0


def test_the_run_begins_when_it_is_started() -> None:
    clock = Clock(5)
    recording = Recorder(clock=clock)
    clock.now_ns = 9
    recording.start()
    clock.now_ns = 17
    interval = recording.take_interval(0, 0)
    assert (interval.start_ns, interval.end_ns, recording.run().start_ns) == (9, 17, 9)


def test_a_taken_interval_does_not_change() -> None:
    recording = recorder()
    record_frames(recording, 3)
    interval = recording.take_interval(3, 0)
    before = counts(interval)
    record_frames(recording, 5, seed=1)
    recording.take_interval(5, 0)
    assert counts(interval) == before


def test_the_run_is_the_sum_of_its_intervals() -> None:
    recording, whole = recorder(), recorder()
    for seed in range(3):
        record_frames(recording, 10, seed=seed)
        record_frames(whole, 10, seed=seed)
        recording.take_interval(captured=12, skipped=2)
    run = recording.run()
    assert (run.captured, run.processed, run.skipped) == (36, 30, 6)
    assert counts(run) == counts(whole.take_interval(36, 6))


def test_negative_durations_are_counted() -> None:
    recording = recorder()
    recording.record(200 * MS, *STAMPS[1:])
    interval = recording.take_interval(1, 0)
    # The sensor's time lies after the arrival and after the label: capture and age.
    for histograms in (interval.histograms, recording.run().histograms):
        negative = {stage: h.negative for stage, h in histograms.items() if h.negative}
        assert negative == {"capture": 1, "age": 1}
        assert histograms["age"].count == 1


def test_a_look_at_the_interval_in_progress_takes_nothing_from_it() -> None:
    recording = recorder()
    assert recording.percentile("inference", 50) == 0
    recording.record(*STAMPS)
    assert recording.percentile("inference", 50) == 20 * MS
    assert recording.take_interval(1, 0).processed == 1


def test_a_trace_has_every_frame_of_its_interval_and_no_other() -> None:
    recording = recorder(trace=True, capacity=2)
    for shift in range(5):
        recording.record(*(stamp + shift for stamp in STAMPS))
    trace = recording.take_interval(5, 0).trace
    assert np.array_equal(trace, np.array(STAMPS) + np.arange(5)[:, None])
    assert recording.take_interval(0, 0).trace.shape == (0, 6)
    assert recording.run().trace.shape == (0, 6)


def test_without_traces_nothing_grows_with_the_frames() -> None:
    recording = recorder(capacity=64)
    record_frames(recording, 200)
    tracemalloc.start()
    try:
        record_frames(recording, 200)
        after_200 = tracemalloc.get_traced_memory()[0]
        for seed in range(10):
            record_frames(recording, 200, seed=seed, start_ns=SECOND)
        grown = tracemalloc.get_traced_memory()[0] - after_200
    finally:
        tracemalloc.stop()
    # 2000 frames of six stamps would be 96,000 bytes.
    assert grown < 8_000
