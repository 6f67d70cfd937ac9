"""The camera is a stand-in for cv2.VideoCapture: what a real driver does is not tested here."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge.sources.base import SourceError
from edge.sources.v4l2 import V4l2Source, device_name


class FakeCapture:
    """Gives `frames` pictures whose driver's stamp is `age_ns` old."""

    frames = 4
    opens = True
    age_ns = 5_000_000
    asked: ClassVar[list[list[int]]] = []
    stamps_ns: ClassVar[list[int]] = []

    def __init__(self, _target: str, _api: int, properties: list[int]) -> None:
        self.asked.append(properties)
        self.left = self.frames

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens

    def get(self, prop: int) -> float:
        assert prop == cv2.CAP_PROP_POS_MSEC
        self.stamps_ns.append(time.monotonic_ns() - self.age_ns)
        return self.stamps_ns[-1] / 1e6

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, np.zeros((4, 6, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.left = 0


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    class Fake(FakeCapture):
        asked: ClassVar[list[list[int]]] = []
        stamps_ns: ClassVar[list[int]] = []

    monkeypatch.setattr(cv2, "VideoCapture", Fake)
    return Fake


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "video7"
    path.touch()
    return path


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
    assert fake.asked == [
        [cv2.CAP_PROP_FRAME_WIDTH, 320, cv2.CAP_PROP_FRAME_HEIGHT, 240, cv2.CAP_PROP_FPS, 15]
    ]
    with pytest.raises(SourceError, match="v4l2:7: the camera stopped"):
        source.read()
    source.close()
    assert source.read() is None


def test_stamps_of_another_clock_are_not_used(fake: type[FakeCapture], device: Path) -> None:
    fake.age_ns = 11_000_000_000
    source = V4l2Source(device)
    assert source.timestamps == "arrival"
    frame = source.read()
    assert frame is not None
    assert frame.captured_ns == frame.arrived_ns


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


def test_names() -> None:
    assert device_name(Path("/dev/video12")) == "v4l2:12"
    assert device_name(Path("/dev/v4l/by-id/usb-cam")) == "/dev/v4l/by-id/usb-cam"
