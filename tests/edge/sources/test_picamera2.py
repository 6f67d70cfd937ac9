"""picamera2 is a stand-in here. It checks what we ask of it, as the real one would:

- the configuration has one main stream in a format of packed RGB, few buffers and queue=False;
- every capture is a job with a time-out, and at most one is under way;
- pixels and metadata come from one request, mapped while it is held, and every request is given
  back exactly once; buffers are reused, so that a picture that was not copied changes afterwards;
- rows are padded to 64 bytes, and the sensor's stamp is of CLOCK_BOOTTIME.

What the hardware does is not tested here.
"""

from __future__ import annotations

import sys
import threading
import time
import types
from concurrent.futures import CancelledError
from typing import Any, Self

import numpy as np
import pytest

from edge.sources.base import SourceError
from edge.sources.picamera2 import Picamera2Source

WIDTH, HEIGHT = 50, 6
NOW_NS = 5000 * 10**9
ASLEEP_NS = 3600 * 10**9
SENSOR_AGE_NS = 40 * 10**6


class FakeRequest:
    def __init__(self, camera: FakeCamera) -> None:
        self.camera = camera
        self.released = False
        number = camera.given
        camera.given += 1
        camera.memory[:] = 255  # what is in the padding
        rows = camera.memory.reshape(HEIGHT, camera.stride)
        rows[:, : 3 * WIDTH] = np.tile(np.array([number, 100, 200], np.uint8), WIDTH)

    def get_metadata(self) -> dict[str, int]:
        assert not self.released
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - SENSOR_AGE_NS}

    def release(self) -> None:
        assert not self.released
        self.released = True
        self.camera.held -= 1


class FakeMappedArray:
    def __init__(self, request: FakeRequest, stream: str, *, reshape: bool, write: bool) -> None:
        assert (stream, reshape, write) == ("main", False, False)
        assert not request.released
        self.array = request.camera.memory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self.array


class FakeCamera:
    cameras: list[dict[str, Any]]
    open_error: Exception | None = None
    stalls = False
    waits = False
    format_given: str | None = None

    def __init__(self, number: int) -> None:
        if self.open_error is not None:
            raise RuntimeError("Camera __init__ sequence did not complete.") from self.open_error
        assert number < len(self.cameras)
        self.stride = -(-3 * WIDTH // 64) * 64
        self.memory = np.zeros(HEIGHT * self.stride, np.uint8)
        self.given = 0
        self.held = 0
        self.started = False
        self.closes = 0
        self.waiting, self.flushed = threading.Event(), threading.Event()
        type(self).last = self

    last: FakeCamera

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.cameras

    def create_video_configuration(self, **config: Any) -> dict[str, Any]:  # noqa: ANN401
        assert config["main"]["format"] in ("RGB888", "BGR888")
        assert config["queue"] is False
        assert 2 <= config["buffer_count"] <= 4
        assert set(config) == {"main", "queue", "buffer_count", "controls"}
        return config

    def configure(self, config: dict[str, Any]) -> None:
        self.config = config

    def stream_configuration(self, name: str) -> dict[str, Any]:
        main: dict[str, Any] = self.config[name]
        return {
            "format": self.format_given or main["format"],
            "size": (WIDTH, HEIGHT),
            "stride": self.stride,
        }

    def start(self) -> None:
        self.started = True

    def capture_request(self, *, wait: bool) -> object:
        assert self.started
        assert not self.closes
        assert wait is False
        assert self.held == 0
        return object()

    def wait(self, _job: object, timeout: float) -> FakeRequest:
        assert timeout > 0
        self.waiting.set()
        if self.waits:
            assert self.flushed.wait(timeout)
        if self.flushed.is_set():
            raise CancelledError
        if self.stalls:
            raise TimeoutError
        self.held += 1
        return FakeRequest(self)

    def cancel_all_and_flush(self) -> None:
        self.flushed.set()

    def close(self) -> None:
        self.closes += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    class Fake(FakeCamera):
        cameras = [{"Model": "imx708"}, {"Model": "ov5647"}]  # noqa: RUF012

    module = types.ModuleType("picamera2")
    module.Picamera2 = Fake  # type: ignore[attr-defined]
    module.MappedArray = FakeMappedArray  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fake


def test_frames_are_rgb_without_padding_and_stay_as_they_were(fake: type[FakeCamera]) -> None:
    source = Picamera2Source(size=(WIDTH, HEIGHT))
    first, second = source.read(), source.read()
    assert first is not None
    assert second is not None
    assert first.color == "rgb"  # "BGR888" lies in memory as R, G, B
    assert fake.last.config["main"] == {"format": "BGR888", "size": (WIDTH, HEIGHT)}
    assert first.pixels.shape == (HEIGHT, WIDTH, 3)
    assert (first.pixels == [0, 100, 200]).all()
    assert (second.pixels == [1, 100, 200]).all()
    assert (first.sequence, second.sequence) == (0, 1)
    assert fake.last.held == 0


def test_the_sensors_stamp_is_brought_to_the_monotonic_clock(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that has slept for an hour: its boot-time clock is ahead of its monotonic one.
    monkeypatch.setattr(time, "monotonic_ns", lambda: NOW_NS)
    monkeypatch.setattr(time, "clock_gettime_ns", {time.CLOCK_BOOTTIME: NOW_NS + ASLEEP_NS}.get)
    source = Picamera2Source()
    assert source.timestamps == "sensor"
    frame = source.read()
    assert frame is not None
    assert (frame.arrived_ns, frame.captured_ns) == (NOW_NS, NOW_NS - SENSOR_AGE_NS)
    assert fake.last.given == 1


def test_rate_is_asked_for(fake: type[FakeCamera]) -> None:
    Picamera2Source(fps=15)
    assert fake.last.config["controls"] == {"FrameRate": 15}


def test_a_stalled_camera_is_an_error_and_close_cancels(fake: type[FakeCamera]) -> None:
    source = Picamera2Source(timeout_s=0.5)
    fake.stalls = True
    with pytest.raises(SourceError, match=r"picamera2: no frame for 0\.5 s"):
        source.read()
    source.close()
    source.close()
    assert fake.last.flushed.is_set()
    assert fake.last.closes == 1
    assert source.read() is None


def test_a_read_that_close_interrupts_ends(fake: type[FakeCamera]) -> None:
    fake.waits = True
    source = Picamera2Source(timeout_s=10)
    seen: list[object] = []
    reader = threading.Thread(target=lambda: seen.append(source.read()))
    reader.start()
    assert fake.last.waiting.wait(timeout=10)
    source.close()
    reader.join(timeout=10)
    assert seen == [None]
    assert fake.last.closes == 1


@pytest.mark.parametrize("error", [RuntimeError("lost"), OSError(19, "No such device")])
def test_a_camera_that_cannot_be_flushed_is_given_back(
    fake: type[FakeCamera], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: FakeCamera) -> None:
        raise error

    monkeypatch.setattr(fake, "cancel_all_and_flush", fail)
    Picamera2Source().close()
    assert fake.last.closes == 1


def test_absent_camera(fake: type[FakeCamera]) -> None:
    with pytest.raises(SourceError, match=r"picamera2:2: libcamera sees 2 camera.*1: ov5647"):
        Picamera2Source(2)
    fake.cameras = []
    with pytest.raises(SourceError, match="libcamera sees 0 camera"):
        Picamera2Source()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RuntimeError("Failed to acquire camera: Device or resource busy"), "another process uses"),
        (OSError(12, "Cannot allocate memory"), "no memory for its buffers"),
        (RuntimeError("Initialization failed."), "check that `rpicam-hello` works"),
    ],
)
def test_a_camera_that_refuses(fake: type[FakeCamera], error: Exception, advice: str) -> None:
    fake.open_error = error
    with pytest.raises(SourceError, match=advice):
        Picamera2Source()


def test_another_format_than_asked_is_refused_and_the_camera_given_back(
    fake: type[FakeCamera],
) -> None:
    fake.format_given = "NV12"
    with pytest.raises(SourceError, match="the camera gives NV12, not BGR888"):
        Picamera2Source()
    assert fake.last.closes == 1


def test_picamera2_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match=r"apt install python3-picamera2.*system-site-packages"):
        Picamera2Source()


def test_picamera2_built_for_another_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "picamera2":
                raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(SourceError, match="does not fit the installed NumPy"):
        Picamera2Source()
