from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from edge.live import LiveLoop, LiveOptions, Result
from edge.live.capture import CaptureThread
from edge.live.feed import Feeder
from edge.live.inference import POLL_S, InferenceThread
from edge.live.watch import TimeWatch
from edge.preprocess import PRESETS
from edge.sources.base import Source
from edge.sources.reopening import ReopeningSource
from edge.tensors import Array
from tests.edge.fakes import ListSource, MeanBackend, solid

PATIENCE_S = 10.0
BOTH = pytest.mark.parametrize("is_ahead", [True, False])


class Gate(MeanBackend):
    """Waits in each inference behind the first `free` ones until it is let through."""

    def __init__(self, free: int = 0) -> None:
        super().__init__()
        self.entered, self.opened = threading.Event(), threading.Event()
        self._free = free

    def run(self) -> Array:
        if self.runs >= self._free:
            self.entered.set()
            assert self.opened.wait(PATIENCE_S)
        return super().run()


def thread_of(
    backend: MeanBackend, source: Source, frames: int | None = None
) -> tuple[InferenceThread, CaptureThread]:
    feeder = Feeder(PRESETS["unit"], backend, is_ahead=True)
    capture = CaptureThread(source, feeder.prepare)
    inference = InferenceThread(feeder, backend, capture, TimeWatch(), frames)
    capture.start()
    inference.start()
    return inference, capture


def new_loop(backend: MeanBackend, *, is_ahead: bool, frames: int | None = None) -> LiveLoop:
    options = LiveOptions(warmup=0, is_ahead=is_ahead, frames=frames, status_s=0.0)
    return LiveLoop(backend, PRESETS["unit"], ("red", "green", "blue"), options)


def test_each_result_keeps_its_own_scores() -> None:
    inference, capture = thread_of(MeanBackend(), ListSource([solid(n % 3) for n in range(9)]))
    results = [inference.take(PATIENCE_S) for _ in range(9)]
    assert [int(result.scores.argmax()) for result in results if result] == [0, 1, 2] * 3
    assert inference.take(PATIENCE_S) is None
    assert inference.ended
    inference.close()
    capture.close()


@BOTH
def test_no_inference_is_made_that_nobody_asked_for(is_ahead: bool) -> None:
    backend = MeanBackend()
    live = new_loop(backend, is_ahead=is_ahead, frames=3).run(
        ListSource([solid(0)] * 20), stop=threading.Event()
    )
    assert backend.runs == live.run.captured == live.run.processed == 3


@BOTH
def test_a_slow_listener_loses_nothing_of_a_file_and_nothing_piles_up(is_ahead: bool) -> None:
    backend = MeanBackend()
    ahead: list[int] = []

    def slow(result: Result) -> None:
        time.sleep(0.002)
        ahead.append(backend.runs - result.sequence - 1)

    source = ListSource([solid(number % 3) for number in range(30)])
    live = new_loop(backend, is_ahead=is_ahead).run(source, stop=threading.Event(), on_result=slow)
    assert live.run.processed == 30
    assert max(ahead) <= (2 if is_ahead else 0)


@BOTH
def test_an_inference_that_fails_ends_the_run_behind_the_labels_before_it(is_ahead: bool) -> None:
    results: list[Result] = []
    loop = new_loop(MeanBackend(fails_at=4), is_ahead=is_ahead)
    with pytest.raises(RuntimeError, match="a bug in the runtime"):
        loop.run(ListSource([solid(0)] * 20), stop=threading.Event(), on_result=results.append)
    assert [result.sequence for result in results] == [0, 1, 2]


@BOTH
def test_what_is_with_the_model_at_the_end_is_not_counted(is_ahead: bool) -> None:
    backend, stop = Gate(free=2), threading.Event()

    def end() -> None:
        assert backend.entered.wait(PATIENCE_S)
        stop.set()
        backend.opened.set()

    ending = threading.Thread(target=end)
    ending.start()
    source = ListSource([solid(0)] * 9, is_live=False)
    live = new_loop(backend, is_ahead=is_ahead).run(source, stop=stop)
    ending.join()
    assert live.run.captured == live.run.processed
    assert 1 <= live.run.processed <= 4
    assert live.run.skipped == 0


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def test_an_inference_that_hangs_does_not_look_alive_and_does_not_stop_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.live.inference.CLOSE_TIMEOUT_S", 0.05)
    backend, stop = Gate(), threading.Event()
    alive: list[bool] = []
    camera = ListSource([solid(0)], is_live=True, then_waits=True)

    def on_waiting() -> None:
        alive.append(backend.entered.is_set())

    def end() -> None:
        assert backend.entered.wait(PATIENCE_S)
        time.sleep(3 * POLL_S)
        stop.set()

    ending = threading.Thread(target=end)
    ending.start()
    source = ReopeningSource(camera, lambda: camera)
    loop = new_loop(backend, is_ahead=True)
    live = loop.run(source, stop=stop, on_waiting=on_waiting)
    ending.join()
    assert live.reason == "stopped"
    assert not any(alive)
    backend.opened.set()  # lets the thread go


def test_a_camera_that_is_waited_for_looks_alive() -> None:
    stop, alive = threading.Event(), threading.Event()
    camera = ListSource([solid(0)], is_live=True, then_waits=True)

    def on_waiting() -> None:
        alive.set()
        stop.set()

    new_loop(MeanBackend(), is_ahead=True).run(
        ReopeningSource(camera, lambda: camera), stop=stop, on_waiting=on_waiting
    )
    assert alive.is_set()


def test_is_running_while_the_model_has_a_frame_or_a_result_waits() -> None:
    backend = Gate()
    inference, capture = thread_of(backend, ListSource([solid(0)]))
    assert backend.entered.wait(PATIENCE_S)
    assert inference.is_running
    assert not inference.ended
    backend.opened.set()
    wait_until(lambda: not inference._thread.is_alive())
    assert inference.is_running  # the result waits
    assert not inference.ended
    assert inference.take(PATIENCE_S) is not None
    assert not inference.is_running
    assert inference.ended
    inference.close()
    capture.close()
