from __future__ import annotations

import threading
import time

import pytest

from edge.sources import reopening
from edge.sources.base import CameraLostError, Frame, LastingError, Source, SourceError
from edge.sources.outages import Outages
from edge.sources.reopening import NS, ReopeningSource, keep_open
from tests.edge.fakes import ListSource, solid
from tests.edge.sources.scripted import (
    Fail,
    Frames,
    Hang,
    Script,
    ScriptedCamera,
    Stall,
    Step,
    cut_off,
    of_floats,
    other_size,
)


class World:
    """A clock that only waiting moves: `waits` are those between two openings."""

    def __init__(self) -> None:
        self.now_ns = 10**12
        self.waits: list[float] = []
        self.said: list[str] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def source(self, script: Script, max_outage_s: float = 60.0) -> ReopeningSource:
        source = ReopeningSource(
            script.open(), script.open, max_outage_s=max_outage_s, say=self.said.append
        )
        world = self

        class Waiting(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                assert timeout is not None
                world.waits.append(timeout)
                world.now_ns += round(timeout * NS)
                return self.is_set()

        source._closed = Waiting()
        return source


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(time, "monotonic_ns", world.monotonic_ns)
    return world


def read(source: Source, count: int) -> list[Frame]:
    frames = [source.read() for _ in range(count)]
    return [frame for frame in frames if frame is not None]


def test_a_camera_that_fails_is_opened_again_and_its_frames_go_on(world: World) -> None:
    script = Script(Frames(3), Fail("unplugged", refusals=2), Frames(2))
    source = world.source(script)
    assert [frame.sequence for frame in read(source, 5)] == [0, 1, 2, 3, 4]
    assert script.opened == 2
    assert world.waits == [0.5, 1.0, 2.0]
    assert source.outages == Outages(1, 3_500_000_000, 3_500_000_000, 3_500_000_000)
    assert world.said == [
        "scripted: unplugged. It is closed and opened again",
        "scripted: frames again, after 3.5 s without",
    ]


def test_the_gaps_of_each_opening_stay_gaps(world: World) -> None:
    script = Script(Frames(2, missed=2), Fail("unplugged"), Frames(2, missed=5))
    # The first frame after an opening has no gap before it: nobody knows how many were missed.
    assert [frame.sequence for frame in read(world.source(script), 4)] == [2, 5, 6, 12]


def test_a_camera_that_does_not_come_back_is_lost_at_the_limit(world: World) -> None:
    source = world.source(Script(Frames(1), Fail("unplugged", refusals=10**9)))
    read(source, 1)
    start_ns = world.now_ns
    with pytest.raises(CameraLostError, match=r"no frame for 60 s, .*limit is 60 s.*no such cam"):
        source.read()
    assert world.now_ns - start_ns == 60 * NS
    assert world.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 14.5]
    assert CameraLostError.exit_status == 4
    assert source.outages.current_ns(world.now_ns) == 60 * NS


def test_one_that_opens_and_never_gives_a_frame_is_lost_too(world: World) -> None:
    script = Script(Frames(1), *[Fail("no frame")] * 99)
    source = world.source(script, max_outage_s=20.0)
    read(source, 1)
    with pytest.raises(CameraLostError, match="no frame for 20 s"):
        source.read()
    assert world.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 4.5]
    assert source.outages.count == 1
    assert len(world.said) == 1


def test_without_patience_it_is_lost_at_once(world: World) -> None:
    source = world.source(Script(Fail("unplugged")), max_outage_s=0.0)
    with pytest.raises(CameraLostError, match="unplugged"):
        source.read()
    assert world.waits == []


def test_a_flapping_camera_is_opened_less_and_less_often(world: World) -> None:
    steps: list[Step] = [Fail("loose cable"), Frames(1)]
    script = Script(*steps * 8)
    source = world.source(script)
    assert len(read(source, 8)) == 8
    assert world.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    waits_ns = [round(wait * NS) for wait in world.waits]
    assert source.outages == Outages(8, sum(waits_ns), max(waits_ns), waits_ns[-1])
    # One that has worked for a while is trusted again.
    script.steps.extend([Frames(1), Fail("loose cable"), Frames(1)])
    world.now_ns += 16 * NS
    read(source, 2)
    assert world.waits[8:] == [0.5]


def test_what_is_no_picture_is_passed_over_and_counted(world: World) -> None:
    script = Script(
        Frames(1), Frames(2, cut_off), Frames(1, of_floats), Frames(1), Frames(1, other_size)
    )
    source = world.source(script)
    frames = read(source, 3)
    # Another size is still a picture; broken ones leave a gap, as they were captured.
    assert [(frame.sequence, frame.pixels.shape[0]) for frame in frames] == [
        (0, 8),
        (4, 8),
        (5, 16),
    ]
    assert source.broken_count == 3
    assert source.outages == Outages()


def test_nothing_but_broken_frames_is_a_lost_camera(world: World) -> None:
    def late(number: int) -> object:
        world.now_ns += NS
        return cut_off(number)

    source = world.source(Script(Frames(99, late)), max_outage_s=5.0)  # type: ignore[arg-type]
    with pytest.raises(CameraLostError, match=r"uint8 \[0, 8, 3\] is no picture"):
        source.read()
    assert source.broken_count == 5


def test_broken_counts_of_closed_cameras_are_kept(world: World) -> None:
    script = Script(Frames(1), Fail("unplugged"), Frames(1))
    source = world.source(script)
    source._source.broken_count = 7  # type: ignore[misc]
    assert len(read(source, 2)) == 2
    assert source.broken_count == 7


@pytest.mark.parametrize(("name", "timestamps"), [("other", "sensor"), ("scripted", "arrival")])
def test_another_camera_in_its_place_is_not_taken(name: str, timestamps: str, world: World) -> None:
    script = Script(Fail("unplugged"), Frames(1))
    source = world.source(script, max_outage_s=9.0)
    script.name, script.timestamps = name, timestamps  # type: ignore[assignment]
    with pytest.raises(CameraLostError, match="came in its place, which is another camera"):
        source.read()


def test_close_ends_a_read_that_waits_for_the_camera() -> None:
    script = Script(Fail("unplugged", refusals=10**9))
    source = ReopeningSource(script.open(), script.open, say=lambda _: None)
    given: list[Frame | None] = []
    reader = threading.Thread(target=lambda: given.append(source.read()))
    reader.start()
    source.close()
    reader.join(10)
    assert given == [None]


def test_what_opens_while_it_is_closed_is_closed_too() -> None:
    cameras: list[ScriptedCamera] = []
    script = Script(Fail("unplugged"), Frames(1))

    def open_late() -> ScriptedCamera:
        source.close()
        cameras.append(script.open())
        return cameras[-1]

    source = ReopeningSource(script.open(), open_late, first_delay_s=0.0, say=lambda _: None)
    assert source.read() is None
    assert cameras[0]._closed.is_set()


def test_a_camera_that_refuses_to_close_is_opened_again() -> None:
    class Stuck(ScriptedCamera):
        def close(self) -> None:
            raise RuntimeError("in a bad state")

    script = Script(Fail("stalled"), Frames(1))
    source = ReopeningSource(Stuck(script), script.open, first_delay_s=0.0, say=lambda _: None)
    assert len(read(source, 1)) == 1


def test_a_read_that_never_comes_back_is_a_hang(world: World) -> None:
    script = Script(Frames(1), Hang())
    source = world.source(script, max_outage_s=60.0)
    source.require_answer(world.now_ns + 10**15)  # nothing was asked yet
    read(source, 1)
    source.require_answer(world.now_ns + 74 * NS)
    with pytest.raises(CameraLostError, match="has not come back for 76 s: the driver hangs"):
        source.require_answer(world.now_ns + 76 * NS)


def test_files_are_left_as_they_are_and_cameras_are_kept_open() -> None:
    file = ListSource([solid(0)])
    assert keep_open(lambda: file) is file
    script = Script(Frames(1))
    camera = keep_open(script.open, max_outage_s=7.0)
    assert isinstance(camera, ReopeningSource)
    assert (camera.name, camera.timestamps, camera.max_outage_s) == ("scripted", "sensor", 7.0)
    # A frame in 20 s is what was asked for, and no outage.
    slow = keep_open(script.open, max_outage_s=7.0, fps=0.05)
    assert isinstance(slow, ReopeningSource)
    assert slow.max_outage_s == 60.0


def test_what_is_wrong_for_good_is_said_at_once() -> None:
    script = Script(Frames(2), Fail("none of it can be read", error=LastingError), Frames(9))
    source = ReopeningSource(script.open(), script.open, say=lambda _: None)
    assert len(read(source, 2)) == 2
    with pytest.raises(LastingError, match="none of it can be read") as caught:
        source.read()
    assert (caught.value.exit_status, script.opened) == (2, 1)
    assert source.outages == Outages()


def test_a_camera_that_is_not_there_at_first_is_not_waited_for() -> None:
    script = Script(Frames(1))
    script.refusals = 1
    with pytest.raises(SourceError, match="no such camera") as caught:
        keep_open(script.open)
    assert caught.value.exit_status == 2


def test_a_stall_is_the_sources_to_end() -> None:
    script = Script(Stall(0.01), Frames(1))
    source = ReopeningSource(script.open(), script.open, say=lambda _: None)
    assert len(read(source, 1)) == 1
    assert source.outages == Outages()


def test_what_a_picture_is() -> None:
    assert reopening.is_picture(Frame(solid(0)[:, :, 0], "gray", 0, 0, 0))
    assert not reopening.is_picture(Frame(solid(0)[0, :, 0], "gray", 0, 0, 0))
