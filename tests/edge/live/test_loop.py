from __future__ import annotations

import errno
import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.clock import Relation, boot_ns
from edge.errors import EdgeError
from edge.latency.log import LogWriter
from edge.latency.read import read_log
from edge.latency.recorder import Interval
from edge.live import LiveLoop, LiveOptions, Result, RunLog, Status
from edge.live.watch import STEP_NS, TimeWatch
from edge.preprocess import PRESETS, PreprocessError
from edge.sources.base import Frame, SourceError
from tests.edge.fakes import Item, ListSource, MeanBackend, solid

HOUR_NS = 3600 * 10**9
LABELS = ("red", "green", "blue")


def new_loop(backend: MeanBackend | None = None, **options: object) -> LiveLoop:
    return LiveLoop(
        backend or MeanBackend(),
        PRESETS["unit"],
        LABELS,
        LiveOptions(**options),  # type: ignore[arg-type]
    )


def never() -> threading.Event:
    return threading.Event()


def new_log(path: Path, source: ListSource) -> RunLog:
    return RunLog(path, MeanBackend().spec, source, 10.0)


def test_labels_every_picture_of_a_file_in_order() -> None:
    results: list[Result] = []
    source = ListSource([solid(1), solid(0), solid(2), solid(2)])
    live = new_loop(top=2).run(source, stop=never(), on_result=results.append)
    assert [result.guesses[0].label for result in results] == ["green", "red", "blue", "blue"]
    assert [result.name for result in results] == ["0.png", "1.png", "2.png", "3.png"]
    assert all(len(result.guesses) == 2 for result in results)
    assert (live.run.captured, live.run.processed, live.run.skipped) == (4, 4, 0)
    assert live.reason == "the source ended"
    assert source.closed.is_set()


@pytest.mark.parametrize("is_live", [True, False])
def test_captured_is_processed_and_skipped(is_live: bool) -> None:
    """A camera faster than the loop, and intervals shorter than a frame: the sums still agree."""
    pauses = itertools.cycle([0.0, 0.0, 0.001, 0.0])
    frames: list[Item] = []
    for number in range(400):
        frames += [lambda: time.sleep(next(pauses)), solid(number % 3)]
    source = ListSource(frames, is_live=is_live)
    live = new_loop(interval_s=0.005).run(source, stop=never())
    assert live.run.captured == live.run.processed + live.run.skipped == 400
    assert live.run.histograms["total"].count == live.run.processed
    if not is_live:
        assert live.run.skipped == 0


def test_what_a_camera_missed_is_captured_and_skipped() -> None:
    def miss_two() -> None:
        source.given += 2

    source = ListSource([solid(0), miss_two, solid(1)], is_live=True)
    live = new_loop().run(source, stop=never())
    assert live.run.captured == live.run.processed + live.run.skipped == 4
    assert live.run.skipped >= 2


def test_a_step_of_the_wall_clock_is_in_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    set_by_ns = 0

    def step() -> None:
        nonlocal set_by_ns
        set_by_ns += HOUR_NS

    wall = Relation(lambda: boot_ns() + set_by_ns, boot_ns, tolerance_ns=STEP_NS)
    monkeypatch.setattr("edge.live.counts.TimeWatch", lambda: TimeWatch(wall=wall))
    source = ListSource([solid(0), step, solid(1)])
    steps = new_loop().run(source, stop=never()).run.incidents.clock_steps
    assert steps.count == 1
    assert steps.total_ns == pytest.approx(HOUR_NS, abs=STEP_NS)


def test_frames_end_the_run_and_what_waits_is_not_counted() -> None:
    live = new_loop(frames=5).run(ListSource([solid(0)] * 20), stop=never())
    assert live.reason == "5 frames"
    assert (live.run.captured, live.run.processed) == (5, 5)


def test_duration_ends_a_run_that_gets_no_frame() -> None:
    source = ListSource([], is_live=True, then_waits=True)
    live = new_loop(duration_s=0.05).run(source, stop=never())
    assert live.reason == "0.05 s"
    assert live.run.captured == 0


def test_stop_ends_the_run_with_the_log_complete(tmp_path: Path) -> None:
    stop = threading.Event()
    source = ListSource(itertools.repeat(solid(0)))
    log = new_log(tmp_path / "run.jsonl", source)

    def stop_at_ten(result: Result) -> None:
        if result.sequence == 9:
            stop.set()

    live = new_loop().run(source, stop=stop, on_result=stop_at_ten, log=log)
    assert live.reason == "stopped"
    read = read_log(tmp_path / "run.jsonl")
    assert read.reason == "stopped"
    assert sum(part.processed for part in read.intervals) == 10


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (lambda: (MeanBackend(), [solid(0), SourceError("unplugged")]), SourceError),
        (lambda: (MeanBackend(), [solid(0), solid(0)[:, :, :2]]), PreprocessError),
        (lambda: (MeanBackend(fails_at=5), [solid(0), solid(0)]), RuntimeError),
    ],
    ids=["camera", "frame", "runtime"],
)
def test_an_error_ends_the_run_with_the_log_complete(
    break_it: Callable[[], tuple[MeanBackend, list[Item]]],
    error: type[Exception],
    tmp_path: Path,
) -> None:
    backend, items = break_it()
    source = ListSource(items)
    log = new_log(tmp_path / "run.jsonl", source)
    with pytest.raises(error) as caught:
        new_loop(backend).run(source, stop=never(), log=log)
    assert source.closed.is_set()
    read = read_log(tmp_path / "run.jsonl")
    assert read.reason == f"error: {caught.value}"
    assert [part.processed for part in read.intervals] == [1]


def test_a_model_that_fails_in_its_warm_up_leaves_the_reason(tmp_path: Path) -> None:
    source = ListSource([solid(0)])
    log = new_log(tmp_path / "run.jsonl", source)
    with pytest.raises(RuntimeError, match="a bug in the runtime"):
        new_loop(MeanBackend(fails_at=1)).run(source, stop=never(), log=log)
    assert source.closed.is_set()
    assert source.given == 0
    assert read_log(tmp_path / "run.jsonl").reason == "error: a bug in the runtime"


def test_a_source_that_does_not_close_leaves_the_log_complete(tmp_path: Path) -> None:
    class Stuck(ListSource):
        def close(self) -> None:
            raise SourceError("the camera cannot be closed")

    source = Stuck([solid(0)] * 3)
    log = new_log(tmp_path / "run.jsonl", source)
    with pytest.raises(SourceError, match="cannot be closed"):
        new_loop().run(source, stop=never(), log=log)
    read = read_log(tmp_path / "run.jsonl")
    assert read.reason == "the source ended"
    assert [part.processed for part in read.intervals] == [3]


def test_a_full_disk_is_said_once_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = ListSource([solid(0)] * 30)
    log = new_log(tmp_path / "run.jsonl", source)
    monkeypatch.setattr(LogWriter, "_append", full)
    live = new_loop(interval_s=0.0).run(source, stop=never(), log=log)
    assert live.run.processed == 30
    assert live.log_failures > 2
    assert capsys.readouterr().err.count("No space left") == 1


@pytest.mark.parametrize("is_ahead", [True, False])
def test_stamps_are_in_order_and_warm_up_is_in_no_figure(is_ahead: bool, tmp_path: Path) -> None:
    backend = MeanBackend()
    source = ListSource([solid(0)] * 20, is_live=False)
    log = new_log(tmp_path / "run.jsonl", source)
    loop = new_loop(backend, warmup=7, trace=True, is_ahead=is_ahead)
    live = loop.run(source, stop=never(), log=log)
    assert backend.runs == 27
    assert live.run.processed == 20
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    stamps = np.array(next(line["rows"] for line in lines if line["kind"] == "trace"))
    assert stamps.shape == (20, 6)
    assert (stamps[:, 1:] >= stamps[:, :-1]).all()
    # Ahead, a frame is prepared while the one before is with the model, and has its label while the
    # next one is: only the inferences come one after the other.
    before, after = (4, 3) if is_ahead else (5, 2)
    assert (stamps[1:, after] >= stamps[:-1, before]).all()


def test_age_counts_from_the_sensor() -> None:
    results: list[Result] = []
    new_loop().run(ListSource([solid(0)], is_live=True), stop=never(), on_result=results.append)
    assert [result.age_ns - result.total_ns for result in results] == [10**6]


def test_status_tells_of_the_last_frame_and_comes_at_least_once() -> None:
    said: list[Status] = []
    new_loop().run(ListSource([solid(0), solid(2)]), stop=never(), on_status=said.append)
    assert len(said) == 1
    assert said[0].result is not None
    assert said[0].result.guesses[0].label == "blue"
    assert (said[0].processed, said[0].skipped) == (2, 0)
    assert said[0].fps > 0
    assert 0 < said[0].p50_ns <= said[0].p99_ns
    said.clear()
    new_loop(status_s=0.0).run(ListSource([solid(0)] * 9), stop=never(), on_status=said.append)
    # One after each frame (and where the loop waited, one more); none for nothing new at the end.
    processed = [status.processed for status in said]
    assert sorted(set(processed) - {0}) == list(range(1, 10))
    said.clear()
    new_loop().run(ListSource([]), stop=never(), on_status=said.append)
    assert said[0].result is None


class Notes:
    """A listener that keeps all it hears."""

    def __init__(self) -> None:
        self.frames: list[tuple[Frame, Result]] = []
        self.statuses: list[Status] = []
        self.intervals: list[Interval] = []

    def labelled(self, frame: Frame, result: Result) -> None:
        self.frames.append((frame, result))

    def status(self, status: Status) -> None:
        self.statuses.append(status)

    def interval(self, interval: Interval) -> None:
        self.intervals.append(interval)


def test_a_listener_hears_of_every_frame_status_and_interval_without_a_log() -> None:
    notes = Notes()
    pictures = [solid(channel) for channel in (1, 0, 2)]
    live = new_loop(interval_s=0.0).run(ListSource(pictures), stop=never(), listener=notes)
    assert [result.guesses[0].label for _, result in notes.frames] == ["green", "red", "blue"]
    assert all(
        frame.pixels is pixels for (frame, _), pixels in zip(notes.frames, pictures, strict=True)
    )
    assert [status.processed for status in notes.statuses] == [3]
    assert sum(interval.processed for interval in notes.intervals) == live.run.processed == 3
    assert len(notes.intervals) >= 3


def test_preprocessing_must_go_with_the_model() -> None:
    spec = PRESETS["unit"]
    grey = type(spec)("gray", spec.mean, spec.std)
    with pytest.raises(EdgeError, match="channel"):
        LiveLoop(MeanBackend(), grey, LABELS, LiveOptions())
