from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edge.live.capture import CaptureThread
from edge.sources.base import SourceError
from tests.edge.fakes import Item, ListSource, solid

PATIENCE_S = 10.0


def started(source: ListSource) -> CaptureThread:
    capture = CaptureThread(source)
    capture.start()
    return capture


def test_a_file_loses_no_frame() -> None:
    source = ListSource([solid(0)] * 50)
    capture = started(source)
    sequences = []
    while (frame := capture.take(PATIENCE_S)) is not None:
        sequences.append(frame.sequence)
    assert sequences == list(range(50))
    assert capture.ended
    assert capture.error is None
    assert capture.skipped == 0
    capture.close()


def test_a_file_is_read_at_most_one_frame_ahead() -> None:
    source = ListSource([solid(0)] * 50)
    capture = started(source)
    assert capture.take(PATIENCE_S) is not None
    assert capture.take(PATIENCE_S) is not None
    assert source.given <= 3
    capture.close()
    assert source.given <= 3


def test_a_camera_replaces_the_frame_that_waits_and_counts_it() -> None:
    all_given, release = threading.Event(), threading.Event()
    source = ListSource([*[solid(0)] * 5, all_given.set, release.wait], is_live=True)
    capture = started(source)
    assert all_given.wait(PATIENCE_S)
    frame = capture.take(PATIENCE_S)
    assert frame is not None
    assert frame.sequence == 4
    assert capture.skipped == 4
    assert capture.take(0) is None
    assert not capture.ended
    release.set()
    assert capture.take(PATIENCE_S) is None
    assert capture.ended
    capture.close()


def test_what_a_camera_says_it_missed_is_counted() -> None:
    def miss(count: int) -> Callable[[], None]:
        def move() -> None:
            source.given += count

        return move

    # It may begin anywhere; then 5 are missed, then none, and a number that goes back is no gap.
    items: list[Item] = [miss(7), solid(0), miss(5), solid(0), solid(0), miss(-3), solid(0)]
    source = ListSource(items)
    capture = started(source)
    taken = [capture.take(PATIENCE_S) for _ in range(5)]
    assert [frame and frame.sequence for frame in taken] == [7, 13, 14, 12, None]
    assert capture.skipped == 5
    capture.close()


def test_the_last_frame_of_a_camera_that_fails_is_still_given() -> None:
    failed = threading.Event()
    source = ListSource([solid(0), failed.set, SourceError("unplugged")], is_live=True)
    capture = started(source)
    assert failed.wait(PATIENCE_S)
    assert capture.take(PATIENCE_S) is not None
    assert capture.take(PATIENCE_S) is None
    assert capture.ended
    assert str(capture.error) == "unplugged"
    capture.close()


@pytest.mark.parametrize("is_live", [True, False])
def test_close_ends_the_thread_and_the_source(is_live: bool) -> None:
    def forever() -> object:
        while True:
            yield solid(0)

    source = ListSource(forever(), is_live=is_live)  # type: ignore[arg-type]
    capture = started(source)
    assert capture.take(PATIENCE_S) is not None
    capture.close()
    assert source.closed.is_set()
    assert not capture._thread.is_alive()


def test_nothing_is_read_before_the_start() -> None:
    source = ListSource([solid(0)])
    capture = CaptureThread(source)
    assert capture.take(0) is None
    capture.close()
    assert source.given == 0
    assert source.closed.is_set()
