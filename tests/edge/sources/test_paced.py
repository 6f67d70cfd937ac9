from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge.sources import open_source
from edge.sources.base import Frame, SourceError
from edge.sources.paced import PacedSource, at_rate
from tests.edge.fakes import Item, ListSource, solid
from tests.edge.sources.pictures import encode, smooth

NS = 1_000_000_000


def timed_frames(items: list[Item], fps: float) -> tuple[list[Frame], float]:
    source = PacedSource(ListSource(items), at_rate(fps))
    assert source.is_live
    assert source.timestamps == "sensor"
    begin_s = time.monotonic()
    frames = list(iter(source.read, None))
    return frames, time.monotonic() - begin_s


def test_frames_come_at_their_moment_and_not_before() -> None:
    frames, took_s = timed_frames([solid(0)] * 4, 50)
    moments = [frame.captured_ns - frames[0].captured_ns for frame in frames]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]
    assert all(frame.arrived_ns >= frame.captured_ns for frame in frames)
    assert took_s >= 0.06
    # On a busy machine they may be later, but never earlier.
    assert all(moment >= number * NS // 50 for number, moment in enumerate(moments))


def test_a_file_that_is_too_slow_is_not_played_ever_later() -> None:
    items: list[Item] = []
    for _ in range(5):
        items += [lambda: time.sleep(0.03), solid(0)]
    frames, _ = timed_frames(items, 100)
    assert len(frames) == 5
    # Each is new when it comes: the clock stood still meanwhile.
    assert all(frame.arrived_ns - frame.captured_ns < 0.02 * NS for frame in frames)


def test_close_ends_the_wait() -> None:
    source = PacedSource(ListSource([solid(0)] * 2), at_rate(0.01))
    assert source.read() is not None
    source.close()
    assert source.read() is None


def test_a_folder_needs_a_rate(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(".png", smooth(4, 4)))
    with pytest.raises(SourceError, match="no pace of their own; give one with --fps"):
        open_source(str(tmp_path), pace="own")
    source = open_source(str(tmp_path), pace="own", fps=10)
    assert isinstance(source, PacedSource)
    frame = source.read()
    assert frame is not None
    assert frame.name == "a.png"
    assert not open_source(str(tmp_path), fps=10).is_live
