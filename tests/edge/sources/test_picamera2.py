"""picamera2 is a stand-in here. It checks what we ask of it, as the real one would:

- the configuration has the streams that the board has, few buffers and queue=False;
- every capture is a job with a time-out, and at most one is under way;
- pixels and metadata come from one request, mapped while it is held, and every request is given
  back exactly once; buffers are reused, so that a picture that was not copied changes afterwards;
- rows are padded to 64 bytes, and the sensor's stamp is of CLOCK_BOOTTIME.

`make pi-lab` runs the same source on the real picamera2. What the hardware does is tested nowhere.
"""

from __future__ import annotations

import enum
import shlex
import sys
import threading
import time
import types
from concurrent.futures import CancelledError
from typing import Any, Self

import numpy as np
import pytest

from edge.processes import Process
from edge.sources.base import SourceError
from edge.sources.picamera2 import Picamera2Source, list_cameras
from tests.edge.sources.sensors import IMX219, OV5647, Mode, sensor_modes

NOW_NS = 5000 * 10**9
ASLEEP_NS = 3600 * 10**9
SENSOR_AGE_NS = 40 * 10**6
FRAME_US = 33_333
# Of the pictures that the camera gives: R, G, B of frame number n, and 25 to 35 of it in Y, U, V.
GREY = 130


class Platform(enum.Enum):
    VC4 = 0
    PISP = 1


class FakeRequest:
    def __init__(self, camera: FakeCamera) -> None:
        self.camera = camera
        self.released = False
        self.number = camera.given
        camera.given += 1 + camera.drops
        camera.fill(self.number)
        metadata = types.SimpleNamespace(sequence=self.number)
        buffer = types.SimpleNamespace(metadata=metadata)
        self.request = types.SimpleNamespace(buffers={"the stream": buffer})

    def get_metadata(self) -> dict[str, int]:
        assert not self.released
        stamp_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - SENSOR_AGE_NS
        return {"SensorTimestamp": stamp_ns} if self.camera.has_stamps else {}

    def release(self) -> None:
        assert not self.released
        self.released = True
        self.camera.held -= 1


class FakeMappedArray:
    def __init__(self, request: FakeRequest, stream: str, *, reshape: bool, write: bool) -> None:
        assert (reshape, write) == (False, False)
        assert stream in request.camera.config
        assert not request.released
        self.array = request.camera.memory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self.array


class FakeCamera:
    cameras: list[dict[str, Any]]
    platform = Platform.VC4
    modes: tuple[Mode, ...] = IMX219
    is_sensor = True
    open_error: Exception | None = None
    stalls = False
    waits = False
    has_stamps = True
    drops = 0
    format_given: str | None = None
    size_given: tuple[int, int] | None = None
    colours_given: str | None = None
    modes_error: Exception | None = None

    def __init__(self, number: int) -> None:
        if self.open_error is not None:
            raise RuntimeError("Camera __init__ sequence did not complete.") from self.open_error
        assert number < len(self.cameras)
        self.camera_properties: dict[str, Any] = {}
        if self.is_sensor:
            self.camera_properties = {"ColorFilterArrangement": 0, "PixelArraySize": (4608, 2592)}
        self.camera_controls = {"FrameDurationLimits": (1, 10**6, 1)} if self.is_sensor else {}
        self.camera_manager = types.SimpleNamespace(version="v0.7.1")
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

    @property
    def sensor_modes(self) -> list[dict[str, Any]]:
        assert self.is_sensor
        assert not self.started  # it configures the camera for each
        if self.modes_error is not None:
            raise self.modes_error
        return sensor_modes(self.modes)

    def create_video_configuration(self, **config: Any) -> dict[str, Any]:  # noqa: ANN401
        assert config["queue"] is False
        assert config["colour_space"] == "BT.601, limited range"
        assert 2 <= config["buffer_count"] <= 4
        for name in {"main", "lores"} & set(config):
            assert all(side % 2 == 0 for side in config[name]["size"])
        if "lores" in config:
            # The second output of a Pi 4 gives YUV alone, and is never the larger.
            assert config["lores"]["format"] == "YUV420"
            assert config["lores"]["size"] <= config["main"]["size"]
        if self.is_sensor:
            assert config["raw"] is None
        if "sensor" in config:
            sizes = [(mode[0], mode[1]) for mode in self.modes]
            sensor = config["sensor"]
            assert (sensor["output_size"], sensor["bit_depth"]) in sizes
        return config

    def configure(self, config: dict[str, Any]) -> None:
        self.config = config

    def camera_configuration(self) -> dict[str, Any]:
        return {"colour_space": self.colours_given or self.config["colour_space"]}

    def stream_configuration(self, name: str) -> dict[str, Any]:
        asked: dict[str, Any] = self.config[name]
        self.width: int
        self.height: int
        self.format = self.format_given or asked["format"]
        self.width, self.height = self.size_given or asked["size"]
        planar = self.format != "BGR888"
        row = self.width if planar else 3 * self.width
        self.stride = -(-row // 64) * 64 + 64
        rows = self.height * 3 // 2 if planar else self.height
        self.memory = np.zeros(rows * self.stride + 4096, np.uint8)
        size = (self.width, self.height)
        return {"format": self.format, "size": size, "stride": self.stride, "framesize": 0}

    def fill(self, number: int) -> None:
        """Put a picture of one colour there: (number, 100, 200), or grey in YUV."""
        self.memory[:] = 255  # what is in the padding
        if self.format == "BGR888":
            rows = self.memory[: self.height * self.stride].reshape(self.height, self.stride)
            colour = np.array([number, 100, 200], np.uint8)
            rows[:, : 3 * self.width] = np.tile(colour, self.width)
        else:
            luma = self.height * self.stride
            self.memory[:luma].reshape(self.height, self.stride)[:, : self.width] = GREY + number
            self.memory[luma : luma * 3 // 2] = 128

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
        self.timeout = timeout
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
    colour_spaces = types.SimpleNamespace(Smpte170m=lambda: "BT.601, limited range")
    libcamera = types.ModuleType("libcamera")
    libcamera.ColorSpace = colour_spaces  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return Fake


def test_a_pi_5_gives_rgb_without_padding_that_stays_as_it_was(fake: type[FakeCamera]) -> None:
    fake.platform = Platform.PISP
    source = Picamera2Source(short_side=256)
    first, second = source.read(), source.read()
    assert first is not None
    assert second is not None
    config = fake.last.config
    assert config["main"] == {"format": "BGR888", "size": (340, 256)}
    assert "lores" not in config
    assert first.color == "rgb"  # "BGR888" lies in memory as R, G, B
    assert first.pixels.shape == (256, 340, 3)
    # Frame 0 went to nobody: it showed that the camera works.
    assert (first.pixels == [1, 100, 200]).all()
    assert (second.pixels == [2, 100, 200]).all()
    assert (first.sequence, second.sequence) == (1, 2)
    assert fake.last.held == 0
    assert source.details == {
        "model": "imx708",
        "libcamera": "v0.7.1",
        "sensor mode": "1640x1232, 10 bits, 41.85 fps, sees 3280x2464",
        "stream": "main BGR888 340x256, rows of 1088 bytes",
    }


def test_a_pi_4_gives_yuv_on_its_second_output(fake: type[FakeCamera]) -> None:
    source = Picamera2Source(short_side=256)
    first, second = source.read(), source.read()
    assert first is not None
    assert second is not None
    config = fake.last.config
    assert config["lores"] == config["main"] == {"format": "YUV420", "size": (340, 256)}
    assert first.color == "rgb"
    # Y from 16 to 235 is 0 to 255.
    for frame, number in ((first, 1), (second, 2)):
        assert frame.pixels.shape == (256, 340, 3)
        wanted = (GREY + number - 16) * 255 / 219
        assert np.abs(frame.pixels.astype(float) - wanted).max() <= 1


def test_a_mode_that_sees_the_whole_scene_is_asked_for(fake: type[FakeCamera]) -> None:
    Picamera2Source(short_side=480)
    assert fake.last.config["sensor"] == {"output_size": (1640, 1232), "bit_depth": 10}
    fake.modes = OV5647
    Picamera2Source(short_side=480, fps=60)
    assert fake.last.config["sensor"] == {"output_size": (640, 480), "bit_depth": 10}


def test_modes_that_cannot_be_read_are_libcameras_choice(fake: type[FakeCamera]) -> None:
    fake.modes_error = OSError(12, "Cannot allocate memory")
    source = Picamera2Source(short_side=256)
    assert "sensor" not in fake.last.config
    # The whole of the sensor's pixels.
    assert fake.last.config["lores"]["size"] == (456, 256)
    assert "the modes cannot be read ([Errno 12] Cannot alloc" in source.details["sensor mode"]
    assert source.read() is not None


def test_another_camera_is_asked_for_what_every_one_has(fake: type[FakeCamera]) -> None:
    fake.is_sensor = False
    fake.format_given, fake.size_given = "NV12", (800, 600)
    source = Picamera2Source(short_side=256, fps=10)
    config = fake.last.config
    assert config["main"] == {"format": "BGR888", "size": (640, 480)}
    assert not {"raw", "sensor"} & set(config)
    # It answers with what it has, and that is what is read.
    frame = source.read()
    assert frame is not None
    assert (frame.pixels.shape, frame.color) == ((600, 800, 3), "rgb")
    assert source.details["stream"] == "main NV12 800x600, rows of 896 bytes"
    assert config["controls"] == {}
    assert source.details["fps"] == "10 asked; the camera has no such setting"
    assert "colours" not in source.details


def test_colours_of_another_standard_are_said(fake: type[FakeCamera]) -> None:
    fake.colours_given = "<libcamera.ColorSpace 'Rec709'>"
    source = Picamera2Source()
    assert source.details["colours"] == "Rec709, taken for BT.601, limited range"
    # RGB is RGB.
    fake.platform = Platform.PISP
    assert "colours" not in Picamera2Source().details


def test_a_gap_in_the_buffers_numbers_is_a_gap_of_ours(fake: type[FakeCamera]) -> None:
    source = Picamera2Source()
    fake.last.drops = 2
    frames = [source.read() for _ in range(3)]
    assert [frame.sequence for frame in frames if frame is not None] == [1, 4, 7]


@pytest.mark.usefixtures("fake")
def test_the_sensors_stamp_is_brought_to_the_monotonic_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine that has slept for an hour: its boot-time clock is ahead of its monotonic one.
    monkeypatch.setattr(time, "monotonic_ns", lambda: NOW_NS)
    monkeypatch.setattr(time, "clock_gettime_ns", {time.CLOCK_BOOTTIME: NOW_NS + ASLEEP_NS}.get)
    source = Picamera2Source()
    assert source.timestamps == "sensor"
    frame = source.read()
    assert frame is not None
    assert (frame.arrived_ns, frame.captured_ns) == (NOW_NS, NOW_NS - SENSOR_AGE_NS)


def test_without_stamps_a_frame_counts_from_its_arrival(fake: type[FakeCamera]) -> None:
    fake.has_stamps = False
    source = Picamera2Source()
    assert source.timestamps == "arrival"
    frame = source.read()
    assert frame is not None
    assert frame.captured_ns == frame.arrived_ns


def test_rate_is_asked_for(fake: type[FakeCamera]) -> None:
    source = Picamera2Source(fps=15)
    assert fake.last.config["controls"] == {"FrameDurationLimits": (66667, 66667)}
    assert "fps" not in source.details
    assert fake.last.timeout == 5
    source = Picamera2Source(fps=60)
    assert source.details["fps"] == "60 asked; the mode has at most 41.85"
    # A frame in 10 s is no stall.
    Picamera2Source(fps=0.1)
    assert fake.last.timeout == 30


def test_a_stalled_camera_is_an_error_and_close_cancels(fake: type[FakeCamera]) -> None:
    source = Picamera2Source(timeout_s=0.5)
    fake.stalls = True
    with pytest.raises(SourceError, match=r"picamera2: no frame for 0\.5 s; the camera has stall"):
        source.read()
    source.close()
    source.close()
    assert fake.last.flushed.is_set()
    assert fake.last.closes == 1
    assert source.read() is None


def test_a_camera_that_opens_and_gives_nothing_is_given_back(fake: type[FakeCamera]) -> None:
    fake.stalls = True
    with pytest.raises(SourceError, match=r"picamera2: no frame for 5 s"):
        Picamera2Source()
    assert fake.last.closes == 1


def test_a_read_that_close_interrupts_ends(fake: type[FakeCamera]) -> None:
    source = Picamera2Source(timeout_s=10)
    fake.last.waiting.clear()
    fake.waits = True
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
        (TypeError("unexpected keyword argument 'sensor'"), "check that `rpicam-hello` works"),
    ],
)
def test_a_camera_that_refuses(fake: type[FakeCamera], error: Exception, advice: str) -> None:
    fake.open_error = error
    with pytest.raises(SourceError, match=advice):
        Picamera2Source()


def test_who_holds_the_camera_is_named(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.open_error = RuntimeError("Failed to acquire camera: Device or resource busy")
    others = [Process(812, "rpicam-hello"), Process(901, "python3")]
    monkeypatch.setattr("edge.sources.picamera2.processes_locking", lambda _: others)
    with pytest.raises(SourceError, match=r"rpicam-hello \(pid 812\), python3 \(pid 901\) holds"):
        Picamera2Source()


def test_cameras_of_usb_are_told_apart(fake: type[FakeCamera]) -> None:
    fake.cameras = [{"Model": "imx708", "Id": "/base/i2c"}, {"Model": "C270", "Id": "/base/usb@1"}]
    assert list_cameras() == ["imx708", "C270"]
    assert list_cameras(with_usb=False) == ["imx708"]


def test_a_format_that_cannot_be_read_is_refused_and_the_camera_given_back(
    fake: type[FakeCamera],
) -> None:
    fake.format_given = "MJPEG"
    with pytest.raises(SourceError, match="picamera2: the camera gives MJPEG; allowed: BGR888"):
        Picamera2Source()
    assert fake.last.closes == 1


def test_frames_that_are_cut_short_are_an_error_and_given_back(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Picamera2Source()
    fake.last.memory = fake.last.memory[:8192]
    monkeypatch.setattr(fake, "fill", lambda *_: None)
    with pytest.raises(SourceError, match="picamera2: a frame of 8192 bytes"):
        source.read()
    assert fake.last.held == 0


def test_picamera2_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match=r"apt install python3-picamera2.*system-site-packages"):
        Picamera2Source()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "numpy.dtype size changed, ... Expected 96 from C header, got 88 from PyObject",
            "install 'numpy<2' 'opencv-python-headless<4.12'",
        ),
        (
            "numpy.dtype size changed, ... Expected 88 from C header, got 96 from PyObject",
            "install 'numpy>=2'",
        ),
        ("numpy.core.multiarray failed to import", "install 'numpy<2'"),
    ],
)
@pytest.mark.parametrize("kind", [ValueError, ImportError])
def test_picamera2_built_for_another_numpy(
    kind: type[Exception], said: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "picamera2":
                raise kind(said)

    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(SourceError, match="does not fit the installed NumPy") as caught:
        Picamera2Source()
    assert f"`{shlex.quote(sys.executable)} -m pip {advice}" in str(caught.value)
