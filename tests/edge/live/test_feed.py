from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from edge.live import LiveLoop, LiveOptions, Result
from edge.live.feed import Feeder
from edge.preprocess import PRESETS, PreprocessError
from edge.sources.base import Frame
from edge.tensors import U8
from tests.edge.fakes import Item, ListSource, MeanBackend, solid

SPEC = PRESETS["unit"]


def frame_of(pixels: U8) -> Frame:
    now_ns = time.monotonic_ns()
    return Frame(pixels, "bgr", 0, now_ns, now_ns)


def noise(seed: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)


def test_ahead_and_in_place_give_the_model_the_same() -> None:
    frames = [frame_of(noise(seed)) for seed in range(3)]
    ahead, in_place = MeanBackend(), MeanBackend()
    early, late = Feeder(SPEC, ahead, is_ahead=True), Feeder(SPEC, in_place, is_ahead=False)
    assert early.prepare is not None
    assert late.prepare is None
    seen = []
    for frame in frames:
        late.feed(frame)
        seen.append(in_place.input_view().copy())
    # All are prepared before the first is used: none may lie in another's memory.
    for frame in frames:
        early.prepare(frame)
    for frame, expected in zip(frames, seen, strict=True):
        early.feed(frame)
        np.testing.assert_array_equal(ahead.input_view(), expected)
    assert not np.array_equal(seen[0], seen[1])


def test_the_time_of_both_threads_is_counted() -> None:
    frame = frame_of(noise(0))
    frame.tensor, frame.preprocess_ns = np.zeros((1, 4, 4, 3), np.float32), 5 * 10**9
    took_ns = Feeder(SPEC, MeanBackend(), is_ahead=True).feed(frame)
    assert 5 * 10**9 < took_ns < 6 * 10**9


@pytest.mark.parametrize(("cores", "threads", "is_ahead"), [(1, 1, False), (2, 1, True)])
def test_ahead_needs_a_core_that_the_inference_leaves_free(
    cores: int, threads: int, is_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    backend = MeanBackend()
    backend.spec = replace(backend.spec, threads=threads)
    assert (Feeder(SPEC, backend).prepare is not None) is is_ahead
    backend.spec = replace(backend.spec, threads=cores)
    assert Feeder(SPEC, backend).prepare is None


BOTH = pytest.mark.parametrize("is_ahead", [True, False])


def loop(is_ahead: bool) -> LiveLoop:
    options = LiveOptions(is_ahead=is_ahead, trace=True)
    return LiveLoop(MeanBackend(), SPEC, ("red", "green", "blue"), options)


@BOTH
@pytest.mark.parametrize("is_live", [True, False])
def test_the_loop_labels_each_frame_with_its_own_pixels(is_ahead: bool, is_live: bool) -> None:
    results: list[Result] = []
    items: list[Item] = []
    for number in range(200):
        items += [lambda: time.sleep(0.0001), solid(number % 3)]
    source = ListSource(items, is_live=is_live)
    live = loop(is_ahead).run(source, stop=threading.Event(), on_result=results.append)
    assert [result.guesses[0].index for result in results] == [r.sequence % 3 for r in results]
    assert live.run.captured == 200
    assert is_live or len(results) == 200


@BOTH
def test_no_stage_is_shorter_than_nothing(is_ahead: bool) -> None:
    """Also where the tensor was ready long before the model was: the stages add up to the total."""
    source = ListSource([solid(number % 3) for number in range(50)])
    live = loop(is_ahead).run(source, stop=threading.Event())
    assert {stage: h.negative for stage, h in live.run.histograms.items() if h.negative} == {}
    assert live.run.histograms["total"].count == 50


@BOTH
def test_a_frame_that_is_no_picture_ends_the_run_with_its_error(is_ahead: bool) -> None:
    source = ListSource([solid(0), np.zeros((4, 4), np.uint8)])
    with pytest.raises(PreprocessError, match=r"a frame of uint8 \[4, 4\]"):
        loop(is_ahead).run(source, stop=threading.Event())
