"""The camera is a stand-in for cv2.VideoCapture; `make v4l2-lab` has a real driver."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge.sources.base import Frame, SourceError
from edge.sources.v4l2 import V4l2Source, device_name
from edge.tensors import U8

# What OpenCV tries, in this order, where the camera does not have the format asked for.
TRIED = ("YUYV", "UYVY", "NV12", "MJPG", "GREY")
MS = 1_000_000


class FakeCapture:
    """Does what OpenCV's V4L2 capture does with properties, formats and broken pictures.

    `formats`: the highest rate of each that the camera has; `sends`: what it sends in MJPG, one
    after the other; `distances_ms`: those of the driver's stamps. It is opened and read `frames`
    times, then gone.
    """

    frames = 4
    opens = True
    age_ns = 5 * MS
    formats: ClassVar[dict[str, float]] = {"YUYV": 30.0}
    sends: ClassVar[list[bytes]] = []
    distances_ms: ClassVar[list[float]] = []
    made: ClassVar[list[FakeCapture]] = []
    stamps_ns: ClassVar[list[int]] = []
    is_released = False

    def __init__(self, _target: str, _api: int, properties: list[int]) -> None:
        for other in self.made:
            assert other.is_released, "the driver says EBUSY to a second capture"
        self.made.append(self)
        self.left = self.frames
        self.sent = list(self.sends)
        self.distances = list(self.distances_ms)
        self.stamp_ns = 0
        self.properties: dict[int, float] = {cv2.CAP_PROP_CONVERT_RGB: 1, cv2.CAP_PROP_FPS: 30}
        self.last: U8 = np.zeros((4, 6, 3), np.uint8)
        if self.opens:
            self.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"BGR3"))
            for prop, value in zip(properties[::2], properties[1::2], strict=True):
                assert self.set(prop, value), "OpenCV would not open it"

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens and not self.is_released

    def set(self, prop: int, value: float) -> bool:
        if prop == cv2.CAP_PROP_FOURCC:
            name = int(value).to_bytes(4, "little").decode()
            had = [one for one in (name, *TRIED) if one in self.formats]
            value = cv2.VideoWriter.fourcc(*had[0])  # and says that all is well
        self.properties[prop] = value
        return True

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamp_ns / MS
        if prop == cv2.CAP_PROP_FPS:
            return min(self.properties[prop], self.formats[self.pixel_format])
        return self.properties[prop]

    @property
    def pixel_format(self) -> str:
        return int(self.properties[cv2.CAP_PROP_FOURCC]).to_bytes(4, "little").decode()

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        if self.left < 0 or self.is_released:
            return False, None
        before_ns, self.stamp_ns = self.stamp_ns, time.monotonic_ns() - self.age_ns
        if self.distances and before_ns:
            self.stamp_ns = before_ns + round(self.distances.pop(0) * MS)
        self.stamps_ns.append(self.stamp_ns)
        if self.pixel_format != "MJPG":
            return True, np.zeros((4, 6, 3), np.uint8)
        data = np.frombuffer(self.sent.pop(0), np.uint8)
        if not self.properties[cv2.CAP_PROP_CONVERT_RGB]:
            return True, data[None]
        found = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        # The picture before is left where it was, and nothing is said.
        self.last = self.last if found is None else np.asarray(found, np.uint8)
        return True, self.last

    def release(self) -> None:
        self.is_released = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    class Fake(FakeCapture):
        made: ClassVar[list[FakeCapture]] = []
        stamps_ns: ClassVar[list[int]] = []

    monkeypatch.setattr(cv2, "VideoCapture", Fake)
    return Fake


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "video7"
    path.touch()
    return path


@pytest.mark.parametrize(("fps", "asked"), [(0.01, 1), (14.6, 15), (1000.0, 1000)])
def test_a_rate_is_asked_for_in_whole_frames(
    fps: float, asked: int, fake: type[FakeCapture], device: Path
) -> None:
    V4l2Source(device, fps=fps).close()
    assert {capture.properties[cv2.CAP_PROP_FPS] for capture in fake.made} == {asked}


def test_gives_frames_with_the_drivers_stamp(fake: type[FakeCapture], device: Path) -> None:
    source = V4l2Source(device, size=(320, 240), fps=15)
    assert source.name == "v4l2:7"
    assert source.is_live
    assert source.timestamps == "driver"
    opened_ns = time.monotonic_ns()
    for number in range(3):  # the camera's first frame was for the opening
        frame = source.read()
        assert frame is not None
        assert frame.arrived_ns >= opened_ns
        assert frame.sequence == number
        # OpenCV hands the stamp over as milliseconds in a double: less than 1 us is lost.
        assert any(abs(frame.captured_ns - stamp_ns) < 1000 for stamp_ns in fake.stamps_ns)
        assert frame.captured_ns < frame.arrived_ns
    [capture] = fake.made
    assert capture.properties[cv2.CAP_PROP_FRAME_WIDTH] == 320
    assert capture.properties[cv2.CAP_PROP_FRAME_HEIGHT] == 240
    assert capture.properties[cv2.CAP_PROP_FPS] == 15
    assert capture.properties[cv2.CAP_PROP_BUFFERSIZE] == 2
    assert source.details == {
        "pixel format": "YUYV",
        "size": "320x240",
        "frames per second": "15",
    }
    with pytest.raises(SourceError, match="v4l2:7: the camera stopped"):
        source.read()
    source.close()
    assert source.read() is None


@pytest.mark.parametrize("age_ms", [10_001, -1_100])
def test_stamps_of_another_clock_are_not_used(
    age_ms: int, fake: type[FakeCapture], device: Path
) -> None:
    fake.age_ns = age_ms * MS
    source = V4l2Source(device)
    assert source.timestamps == "arrival"
    # Nor is a later one that could be of ours: a run's ages all count from the same.
    fake.age_ns = 5 * MS
    frame = source.read()
    assert frame is not None
    assert frame.captured_ns == frame.arrived_ns


def test_a_driver_may_stamp_the_end_of_a_frame_ahead_of_time(
    fake: type[FakeCapture], device: Path
) -> None:
    fake.age_ns, fake.distances_ms = -800 * MS, [33, 33, 66]
    source = V4l2Source(device)
    assert source.timestamps == "driver"
    for sequence in (0, 1, 3):
        frame = source.read()
        assert frame is not None
        # It is no younger than the moment in which it came.
        assert frame.captured_ns == frame.arrived_ns
        assert frame.sequence == sequence


def test_a_frame_that_waited_long_is_as_old_as_it_is(fake: type[FakeCapture], device: Path) -> None:
    source = V4l2Source(device)
    fake.age_ns = 60_000 * MS  # the process was stopped for a minute
    frame = source.read()
    assert frame is not None
    assert frame.arrived_ns - frame.captured_ns == pytest.approx(60_000 * MS, abs=1000 * MS)


def test_what_opencv_cannot_make_a_picture_of_is_none(
    fake: type[FakeCapture], device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reshape(_: FakeCapture) -> tuple[bool, Any]:
        raise cv2.error("Bad number of channels")

    monkeypatch.setattr(fake, "read", reshape)
    with pytest.raises(SourceError, match="gives no picture"):
        V4l2Source(device)


def test_absent_names_what_is_there(device: Path) -> None:
    with pytest.raises(SourceError, match=r"no camera .*video9; found: .*video7"):
        V4l2Source(device.with_name("video9"))


def test_no_permission_says_the_group(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceError, match="usermod -aG video"):
        V4l2Source(device)


@pytest.mark.parametrize("trouble", [{"opens": False}, {"frames": 0}])
def test_busy_names_the_process(
    trouble: dict[str, Any], fake: type[FakeCapture], device: Path, tmp_path: Path
) -> None:
    for name, value in trouble.items():
        setattr(fake, name, value)
    proc = tmp_path / "proc"
    (proc / "4711" / "fd").mkdir(parents=True)
    (proc / "4711" / "comm").write_text("frigate\n")
    (proc / "4711" / "fd" / "3").symlink_to(device)
    with pytest.raises(SourceError, match=r"is busy: frigate \(pid 4711\)"):
        V4l2Source(device, proc=proc)
    with pytest.raises(SourceError, match="gives no picture"):
        V4l2Source(device, proc=tmp_path / "nothing")


def test_a_camera_named_by_its_id_is_busy_too(
    fake: type[FakeCapture], device: Path, tmp_path: Path
) -> None:
    fake.opens = False
    by_id = tmp_path / "usb-cam"
    by_id.symlink_to(device)
    (tmp_path / "proc" / "4711" / "fd").mkdir(parents=True)
    (tmp_path / "proc" / "4711" / "comm").write_text("frigate\n")
    (tmp_path / "proc" / "4711" / "fd" / "3").symlink_to(device)
    with pytest.raises(SourceError, match=r"is busy: frigate \(pid 4711\)"):
        V4l2Source(by_id, proc=tmp_path / "proc")


@pytest.mark.parametrize(
    ("formats", "fps", "chosen"),
    [
        # Uncompressed where that comes at the rate asked for, or at OpenCV's own 30.
        ({"YUYV": 30, "MJPG": 30}, None, "YUYV"),
        ({"YUYV": 29.97, "MJPG": 60}, None, "YUYV"),
        ({"YUYV": 10, "MJPG": 30}, 10, "YUYV"),
        ({"YUYV": 10, "MJPG": 30}, None, "MJPG"),
        ({"YUYV": 30, "MJPG": 60}, 60, "MJPG"),
        # MJPG that is no faster, or is not there, helps nobody.
        ({"YUYV": 10, "MJPG": 10}, None, "YUYV"),
        ({"YUYV": 10}, None, "YUYV"),
        ({"MJPG": 30}, None, "MJPG"),
        ({"NV12": 30}, None, "NV12"),
    ],
)
def test_the_format_is_chosen_by_the_rate(
    formats: dict[str, float],
    fps: float | None,
    chosen: str,
    fake: type[FakeCapture],
    device: Path,
) -> None:
    fake.formats, fake.sends = formats, [JPEG] * 4
    source = V4l2Source(device, fps=fps)
    assert source.details["pixel format"] == chosen
    assert source.read() is not None
    source.close()
    assert all(capture.is_released for capture in fake.made)


@pytest.mark.parametrize("wanted", ["YUYV", "MJPG"])
def test_a_format_that_is_named_is_what_comes_or_an_error(
    wanted: str, fake: type[FakeCapture], device: Path
) -> None:
    fake.formats, fake.sends = {"YUYV": 5, "MJPG": 30}, [JPEG] * 4
    source = V4l2Source(device, pixel_format=wanted)
    assert source.details["pixel format"] == wanted
    source.close()
    del fake.formats[wanted]
    # OpenCV takes another then, and says that all is well.
    with pytest.raises(SourceError, match=f"v4l2:7 gives ...., not {wanted}|at 640x480, not"):
        V4l2Source(device, pixel_format=wanted)
    assert fake.made[-1].is_released


JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), 200, np.uint8))[1].tobytes()
DARK = cv2.imencode(".jpg", np.full((48, 64, 3), 20, np.uint8))[1].tobytes()


def frames_of(source: V4l2Source) -> list[Frame]:
    """Return all that come before the camera is gone."""
    frames: list[Frame] = []

    def read_all() -> None:
        while (frame := source.read()) is not None:
            frames.append(frame)

    with pytest.raises(SourceError, match="stopped giving frames"):
        read_all()
    return frames


def test_broken_pictures_are_counted_and_the_one_before_is_not_shown_again(
    fake: type[FakeCapture], device: Path
) -> None:
    fake.formats = {"MJPG": 30}
    fake.sends = [DARK, JPEG, JPEG[: len(JPEG) // 2], b"\0" * 100, JPEG[:2], b"", DARK]
    fake.frames = len(fake.sends)
    source = V4l2Source(device)
    frames = frames_of(source)
    assert [round(float(frame.pixels.mean()), -1) for frame in frames] == [200, 20]
    assert frames[0].pixels.shape == (48, 64, 3)
    assert source.broken_count == 4
    # They were frames of the camera's all the same.
    assert [frame.sequence for frame in frames] == [0, 5]


def test_a_camera_that_sends_only_broken_pictures_is_lost(
    fake: type[FakeCapture], device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.formats, fake.frames, fake.sends = {"MJPG": 30}, 100, [JPEG, *[b"x"] * 99]
    source = V4l2Source(device)
    clock = iter(range(0, 10**12, 10**9))
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(clock))
    with pytest.raises(SourceError, match=r"no picture could be decoded for 10 s.*YUYV"):
        source.read()
    assert source.broken_count < 20


@pytest.mark.parametrize(
    ("distances_ms", "sequences"),
    [
        # A buffer was not given back in time, twice, and the jitter of USB.
        ([33, 34, 33, 66, 33, 32, 100, 33], [0, 1, 2, 4, 5, 6, 9, 10]),
        # It grew dark, and the camera exposes for longer than the duration that it agreed to: the
        # first of the slow ones look like gaps, then it is a rate.
        ([33] * 6 + [66] * 20, [*range(6), *range(7, 30, 2), *range(30, 38)]),
    ],
)
def test_a_gap_in_the_drivers_stamps_is_counted(
    distances_ms: list[float],
    sequences: list[int],
    fake: type[FakeCapture],
    device: Path,
) -> None:
    fake.distances_ms, fake.frames = distances_ms, len(distances_ms) + 1
    # In the past, so that the stamps made up here lie there too.
    fake.age_ns = 3_000 * MS
    found = [frame.sequence for frame in frames_of(V4l2Source(device))]
    assert found == sequences


def test_names() -> None:
    assert device_name(Path("/dev/video12")) == "v4l2:12"
    assert device_name(Path("/dev/v4l/by-id/usb-cam")) == "/dev/v4l/by-id/usb-cam"
