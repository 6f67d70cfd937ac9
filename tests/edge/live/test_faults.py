"""The loop with a camera whose faults are written down: what is counted, logged, and mended."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.device import Health
from edge.latency.incidents import Tally
from edge.latency.read import LatencyLog, read_log
from edge.latency.summary import summarize
from edge.live import LiveLoop, LiveOptions, LiveResult, Result, RunLog, Status
from edge.live.health import HealthWatch
from edge.preprocess import PRESETS, PreprocessError
from edge.sources import reopening
from edge.sources.base import CameraLostError, SourceError
from edge.sources.reopening import ReopeningSource
from edge.tensors import Array
from tests.edge.fakes import ListSource, MeanBackend, solid
from tests.edge.latency.logs import MS
from tests.edge.sources.scripted import (
    End,
    Fail,
    Frames,
    Hang,
    Script,
    Stall,
    Step,
    black,
    cut_off,
    frozen,
    of_floats,
    other_size,
)


class Run:
    """One run on a scripted camera, with its log and all that was said."""

    def __init__(
        self,
        folder: Path,
        *steps: Step,
        max_outage_s: float = 60.0,
        first_delay_s: float = 0.01,
    ) -> None:
        self.script = Script(*steps)
        self.said: list[str] = []
        self.results: list[Result] = []
        self.statuses: list[Status] = []
        self.stop = threading.Event()
        self.path = folder / "run.jsonl"
        self.source = ReopeningSource(
            self.script.open(),
            self.script.open,
            max_outage_s=max_outage_s,
            first_delay_s=first_delay_s,
            say=self.said.append,
        )

    def go(self, backend: MeanBackend | None = None, **options: object) -> LiveResult:
        backend = backend or MeanBackend()
        loop = LiveLoop(backend, PRESETS["unit"], (), LiveOptions(**options))  # type: ignore[arg-type]
        return loop.run(
            self.source,
            stop=self.stop,
            on_result=self.results.append,
            on_status=self.statuses.append,
            log=RunLog(self.path, backend.spec, self.source, 10.0),
        )

    @property
    def log(self) -> LatencyLog:
        return read_log(self.path)


def adds_up(log: LatencyLog) -> bool:
    return all(i.captured == i.processed + i.skipped for i in log.intervals)


# What is left of a script after its first frame, which is always good.
STEPS = st.lists(
    st.one_of(
        st.builds(
            Frames,
            st.integers(1, 5),
            st.sampled_from([black, frozen, other_size, cut_off, of_floats]),
            every_s=st.sampled_from([0.0, 0.001]),
            missed=st.integers(0, 3),
        ),
        st.builds(Fail, st.just("unplugged"), st.integers(0, 1)),
    ),
    max_size=6,
)


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, is_ahead=st.booleans())
def test_captured_is_processed_and_skipped_whatever_happens(
    steps: list[Step], is_ahead: bool, tmp_path: Path
) -> None:
    run = Run(tmp_path, Frames(1), *steps, Frames(1), End(), first_delay_s=0.0)
    live = run.go(is_ahead=is_ahead, interval_s=0.005)
    given_or_missed, is_first = 1, False
    for step in [*steps, Frames(1)]:
        if isinstance(step, Fail):
            is_first = True
        elif isinstance(step, Frames):
            # Nobody knows what was missed while the camera was gone.
            given_or_missed += step.count + step.missed * (step.count - is_first)
            is_first = False
    assert live.run.captured == given_or_missed
    assert live.run.captured == live.run.processed + live.run.skipped
    assert live.run.processed == len(run.results)
    assert adds_up(run.log)
    assert sum(i.captured for i in run.log.intervals) == given_or_missed
    assert live.broken == live.run.incidents.broken
    sequences = [result.sequence for result in run.results]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == given_or_missed - 1


def test_an_outage_is_in_the_intervals_that_it_touches(tmp_path: Path) -> None:
    run = Run(tmp_path, Frames(2), Fail("unplugged", refusals=4), Frames(2), End())
    live = run.go(interval_s=0.02, status_s=0.01)
    outages = live.run.incidents.outages
    assert outages.count == 1
    # The waits are 0.01, 0.02, 0.04, 0.08 and 0.16 s.
    assert outages.total_ns == outages.longest_ns >= 310 * MS
    touched = [i.incidents.outages for i in run.log.intervals if i.incidents.outages.total_ns]
    assert len(touched) > 1
    assert [tally.count for tally in touched] == [1, *[0] * (len(touched) - 1)]
    assert sum(tally.total_ns for tally in touched) == outages.total_ns
    assert max(tally.longest_ns for tally in touched) == outages.longest_ns
    assert any("opening the camera again" in status.notice for status in run.statuses)
    assert run.statuses[-1].notice == ""
    assert live.reason == "the source ended"
    assert run.said[0] == "scripted: unplugged. It is closed and opened again"


def test_of_several_outages_the_longest_is_known(tmp_path: Path) -> None:
    steps: list[Step] = [Fail("a", refusals=3), Frames(1), Fail("b"), Frames(1)]
    run = Run(tmp_path, Frames(1), *steps, End())
    outages = run.go().run.incidents.outages
    assert outages.count == 2
    assert outages.longest_ns >= 150 * MS
    assert outages.longest_ns <= outages.total_ns


def test_a_camera_that_stays_lost_ends_the_run_and_the_log_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path, Frames(3), Fail("unplugged", refusals=10**9), max_outage_s=0.1)
    with pytest.raises(CameraLostError, match="no such camera"):
        run.go()
    log = run.log
    assert (log.reason or "").startswith("error: scripted: no frame for 0 s, the limit is 0.1 s")
    assert log.intervals[-1].incidents.outages.count == 1
    assert adds_up(log)


def test_a_driver_that_hangs_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reopening, "GRACE_S", 0.1)
    monkeypatch.setattr("edge.live.capture.CLOSE_TIMEOUT_S", 0.1)
    run = Run(tmp_path, Frames(3), Hang(), max_outage_s=0.2)
    try:
        with pytest.raises(CameraLostError, match="the driver hangs"):
            run.go()
    finally:
        run.script.released.set()
    assert "the driver hangs" in (run.log.reason or "")
    assert sum(i.captured for i in run.log.intervals) == 3


def test_stop_ends_an_outage_at_once(tmp_path: Path) -> None:
    run = Run(tmp_path, Frames(1), Fail("unplugged", refusals=10**9))
    threading.Timer(0.1, run.stop.set).start()
    live = run.go()
    assert live.reason == run.log.reason == "stopped"
    assert live.run.incidents.outages.count == 1
    assert (live.run.captured, live.run.processed) == (1, 1)


def test_the_longest_time_without_a_frame_is_logged(tmp_path: Path) -> None:
    run = Run(tmp_path, Frames(5), Stall(0.15), Frames(2), End())
    live = run.go(interval_s=0.05)
    gaps = [i.incidents.longest_gap_ns for i in run.log.intervals]
    assert live.run.incidents.longest_gap_ns == max(gaps) >= 150 * MS
    # The gap that goes on is in each interval that it touches, as long as it was by its end.
    assert sum(gap >= 50 * MS for gap in gaps) >= 2


def test_a_file_has_no_gaps_and_is_not_looked_at() -> None:
    source = ListSource([solid(0)] * 5)
    loop = LiveLoop(MeanBackend(), PRESETS["unit"], (), LiveOptions())
    live = loop.run(source, stop=threading.Event())
    incidents = live.run.incidents
    assert (incidents.longest_gap_ns, incidents.identical, incidents.blank) == (0, 0, 0)


def test_bad_pictures_are_counted_and_the_loop_goes_on(tmp_path: Path) -> None:
    steps = [
        Frames(2, cut_off),
        Frames(1, of_floats),
        Frames(3, black),
        Frames(4, frozen),
        Frames(2, other_size),
    ]
    live = Run(tmp_path, Frames(2), *steps, End()).go()
    incidents = live.run.incidents
    assert (incidents.broken, live.broken) == (3, 3)
    assert incidents.blank == 3
    assert incidents.identical == 2 + 3
    assert incidents.resized == 1
    assert incidents.outages == Tally()
    assert live.reason == "the source ended"


def test_a_frozen_picture_is_said_when_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.live.capture.FROZEN_S", 0.05)
    run = Run(tmp_path, Frames(10, frozen, every_s=0.01), Frames(3, black), End())
    run.go(status_s=0.0)
    notices = [status.notice for status in run.statuses]
    assert notices[0] == ""
    assert any(notice.startswith("the picture has not changed for") for notice in notices)
    assert "the picture is blank" in notices


class SlowBackend(MeanBackend):
    """Its thread does nothing for 0.3 s in some inferences."""

    def __init__(self, at: set[int]) -> None:
        super().__init__()
        self._at = at

    def run(self) -> Array:
        if self.runs in self._at:
            time.sleep(0.3)
        return super().run()


def test_a_frame_that_a_pause_is_part_of_is_known_as_such(tmp_path: Path) -> None:
    run = Run(tmp_path, Frames(1), *[Frames(1, every_s=0.02)] * 20, End())
    live = run.go(SlowBackend({3 + 2, 3 + 5}), trace=True)  # behind the warm-up
    pauses = live.run.incidents.pauses
    assert pauses.count >= 2
    assert pauses.longest_ns >= 300 * MS - 20 * MS
    hit = [number for number, result in enumerate(run.results) if result.is_interrupted]
    assert {2, 5} <= set(hit)
    assert all(run.results[number].age_ns >= 200 * MS for number in hit)
    assert live.run.incidents.interrupted == len(hit)
    # The times stay in the figures: it is the maximum, not the median, that tells of them.
    assert live.run.histograms["inference"].max_ns >= 300 * MS
    traces = [line for line in run.path.read_text().splitlines() if '"kind":"trace"' in line]
    assert f'"interrupted":{hit}'.replace(" ", "") in traces[0]


def test_the_first_interval_does_not_count_the_warm_up(tmp_path: Path) -> None:
    live = Run(tmp_path, Frames(1), End()).go(SlowBackend({0, 1}))
    assert live.run.incidents.pauses.longest_ns < 600 * MS
    assert live.run.histograms["inference"].count == 1


@pytest.mark.parametrize("is_ahead", [True, False])
def test_a_frame_that_breaks_the_run_is_captured_and_skipped(
    is_ahead: bool, tmp_path: Path
) -> None:
    wrong = np.zeros((8, 8, 2), np.uint8)
    source = ListSource([solid(0), wrong, solid(1)])
    backend = MeanBackend()
    loop = LiveLoop(backend, PRESETS["unit"], (), LiveOptions(is_ahead=is_ahead))
    path = tmp_path / "run.jsonl"
    with pytest.raises(PreprocessError):
        loop.run(source, stop=threading.Event(), log=RunLog(path, backend.spec, source, 10.0))
    [interval] = read_log(path).intervals
    assert (interval.captured, interval.processed, interval.skipped) == (2, 1, 1)


def test_throttling_is_marked_on_the_intervals_that_it_touches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Under-voltage since boot already; it comes back for one reading, and is gone at the end.
    bits = iter([0x10000] * 10 + [0x10001] + [0x10000] * 10**5)
    monkeypatch.setattr("edge.live.health.PERIOD_S", 0.005)
    monkeypatch.setattr("edge.live.health.SHARE", 1.0)
    watch = HealthWatch(lambda: Health(50.0, next(bits)))
    monkeypatch.setattr("edge.live.log.HealthWatch", lambda: watch)
    run = Run(tmp_path, Frames(1), *[Frames(1, every_s=0.02)] * 20, End())
    run.go(interval_s=0.02)
    summary = summarize([run.log])
    assert summary.throttle_flags == ("under-voltage",)
    # The one with the reading, and those that began before the next one.
    assert summary.throttled_intervals is not None
    assert 1 <= summary.throttled_intervals < summary.throttle_checks
    watch._thread.join(10)
    assert not watch._thread.is_alive()


def test_what_cannot_be_opened_at_first_is_no_outage() -> None:
    script = Script(Frames(1))
    script.refusals = 1
    with pytest.raises(SourceError, match="no such camera"):
        reopening.keep_open(script.open)
