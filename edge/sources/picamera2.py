"""The Raspberry Pi's own camera, through picamera2."""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge.clock import SensorClock
from edge.numpy_clash import find_numpy_clash
from edge.processes import processes_locking
from edge.sources.base import SIZE, Frame, SourceError, Timestamps
from edge.sources.frame_count import FrameCount
from edge.sources.picamera2_setup import plan
from edge.sources.pixel_formats import Stream
from edge.tensors import U8

TIMEOUT_S = 5.0
# What picamera2 raises when a camera refuses or is gone; its own state is then what fails.
PICAMERA2_ERRORS = (
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
# A camera that was asked for fewer frames is given the time of so many.
TIMEOUT_FRAMES = 3

_INSTALL = (
    "install it with `sudo apt install python3-picamera2` and make the virtual environment with "
    "`python3 -m venv --system-site-packages`"
)


class Picamera2Source:
    """A camera of the Pi.

    The image processor scales the whole scene to a picture of the short side that is asked for,
    at no cost to the processor. A first frame is taken when it is opened, so that a camera that
    opens also works.

    `Frame.sequence` counts the sensor's frames: those that were dropped before they came here are
    a gap. `details` says what the camera was found to be, and how it was set up.
    """

    is_live = True
    broken_count = 0

    def __init__(
        self,
        number: int = 0,
        *,
        short_side: int = min(SIZE),
        fps: float | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Open camera `number` and start it.

        Args: short_side: pixels that the frames' short side should have, best what the model's
            preprocessing brings it to; fps: rate to ask for (None: picamera2's own for video);
            timeout_s: how long a frame may take before the camera counts as lost, at least the
            time of three.
        Raises: SourceError: picamera2 is missing, or the camera is absent, busy, refuses, gives
            what cannot be read, or nothing.
        """
        self.name = f"picamera2:{number}" if number else "picamera2"
        self.timestamps: Timestamps = "sensor"
        self.details: dict[str, str] = {}
        self._timeout_s = max(timeout_s, TIMEOUT_FRAMES / fps if fps else 0.0)
        self._closed = False
        self._in_use = threading.Lock()
        self._clock = SensorClock()
        self._count = FrameCount()
        cameras = list_cameras()
        if number >= len(cameras):
            raise SourceError(
                f"{self.name}: libcamera sees {len(cameras)} camera(s)"
                + "".join(f"; {index}: {model}" for index, model in enumerate(cameras))
                + ". Check the ribbon cable and `rpicam-hello --list-cameras`"
            )
        self.details["model"] = cameras[number]
        with self._explained():
            from picamera2 import MappedArray

            self._mapped = MappedArray
            self._camera = _picamera2_class()(number)
        try:
            with self._explained():
                self._stream = self._start(short_side, fps)
            # It is given to nobody: it would be old before the loop begins.
            self._next_frame()
        except SourceError:
            self.close()
            raise

    def _start(self, short_side: int, fps: float | None) -> Stream:
        """Configure the camera and let it run. Returns what it made of what was asked."""
        camera = self._camera
        setup = plan(camera, short_side, fps)
        self.details |= {"libcamera": str(camera.camera_manager.version), **setup.details}
        camera.configure(camera.create_video_configuration(**setup.wanted))
        # It may have adjusted anything: what counts is what it says now.
        given = camera.stream_configuration(setup.stream)
        width, height = given["size"]
        stream = Stream(setup.stream, given["format"], width, height, given["stride"])
        self.details["stream"] = str(stream)
        colours, asked = camera.camera_configuration()["colour_space"], setup.wanted["colour_space"]
        if stream.layout.is_yuv and str(colours) != str(asked):
            self.details["colours"] = f"{_plain(colours)}, taken for {_plain(asked)}"
        camera.start()
        return stream

    def read(self) -> Frame | None:
        """Return the next frame, its pixels and its metadata from one request.

        Raises: SourceError: the camera gave nothing in time, or failed.
        """
        return None if self._closed else self._next_frame()

    def _next_frame(self) -> Frame | None:
        try:
            job = self._camera.capture_request(wait=False)
            request = self._camera.wait(job, timeout=self._timeout_s)
            with self._in_use:
                return self._frame_of(request)
        except CancelledError:
            return None  # closed meanwhile
        except SourceError as error:
            raise SourceError(f"{self.name}: {error}") from error
        except TimeoutError as cause:
            if self._closed:
                return None
            raise SourceError(
                f"{self.name}: no frame for {self._timeout_s:g} s; the camera has stalled. "
                "Check its cable and power"
            ) from cause
        except PICAMERA2_ERRORS as cause:
            if self._closed:
                return None  # picamera2 gave up what the request needs
            raise SourceError(f"{self.name}: the camera failed ({cause})") from cause

    def _frame_of(self, request: Any) -> Frame | None:  # noqa: ANN401 - picamera2 has no types
        """Return the frame of a request, and give the request back."""
        try:
            if self._closed:
                return None
            arrived_ns = time.monotonic_ns()
            metadata = request.get_metadata()
            number = _buffer_number(request)
            # The camera needs the buffer back before the loop is done with it: this copies.
            with self._mapped(request, self._stream.name, reshape=False, write=False) as mapped:
                pixels: U8 = self._stream.picture(mapped.array)
        finally:
            request.release()
        stamp_ns = metadata.get("SensorTimestamp")
        sequence = self._count.next(number, stamp_ns, 1000 * metadata.get("FrameDuration", 0))
        captured_ns = None
        if stamp_ns is not None:
            captured_ns = self._clock.captured_ns(stamp_ns, arrived_ns)
        if captured_ns is None:
            self.timestamps = "arrival"
            captured_ns = arrived_ns
        return Frame(pixels, self._stream.layout.color, sequence, captured_ns, arrived_ns)

    def close(self) -> None:
        """Stop the camera and give it back; a `read` that waits returns None."""
        if self._closed:
            return
        self._closed = True
        # Whatever state the camera is in, there is nothing more to do with it; and a camera that
        # was lost refuses the first, but must still be given back.
        with suppress(Exception):
            self._camera.cancel_all_and_flush()
        with self._in_use, suppress(Exception):
            self._camera.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what picamera2 raises into a SourceError that says what to do."""
        try:
            yield
        except SourceError as error:
            raise SourceError(f"{self.name}: {error}") from error
        except PICAMERA2_ERRORS as cause:
            chain = _chain(cause)
            if "busy" in chain.lower():
                advice = f"{_holders()}; stop that first"
            elif "allocate" in chain.lower():
                advice = "no memory for its buffers; ask for smaller frames, or raise cma in config"
            else:
                advice = "check that `rpicam-hello` works"
            raise SourceError(f"{self.name}: cannot be opened ({chain}): {advice}") from cause


def _holders() -> str:
    # libcamera locks the media devices of a camera that it has acquired.
    holders = processes_locking(sorted(Path("/dev").glob("media*")))
    if holders:
        return f"{', '.join(map(str, holders))} holds it"
    return "another process uses it (see `sudo fuser -v /dev/media*`)"


def _buffer_number(request: Any) -> int | None:  # noqa: ANN401 - picamera2 has no types
    buffer = next(iter(request.request.buffers.values()), None)
    return None if buffer is None else int(buffer.metadata.sequence)


def _plain(colour_space: object) -> str:
    return str(colour_space).removeprefix("<libcamera.ColorSpace '").removesuffix("'>")


def list_cameras(*, with_usb: bool = True) -> list[str]:
    """Return the model of each camera that libcamera sees: `picamera2:N` is the one at place N.

    Those of USB come last, and are left out without `with_usb`.

    Raises: SourceError: picamera2 is not installed, or does not fit the installed NumPy.
    """
    return [
        str(camera.get("Model", "?"))
        for camera in _picamera2_class().global_camera_info()
        if with_usb or "/usb" not in str(camera.get("Id", ""))
    ]


def _picamera2_class() -> Any:  # noqa: ANN401 - picamera2 has no types
    try:
        from picamera2 import Picamera2
    except (ImportError, ValueError, AttributeError) as cause:
        clash = find_numpy_clash(str(cause))
        if clash is None:
            raise SourceError(f"picamera2 cannot be imported ({cause}); {_INSTALL}") from cause
        raise SourceError(
            f"picamera2 does not fit the installed NumPy ({cause}): the system's simplejpeg is "
            f"built for NumPy {clash.wanted}; "
            f"`{shlex.quote(sys.executable)} -m pip install {clash.packages}`"
        ) from cause
    return Picamera2


def _chain(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(str(error).strip().rstrip("."))
        error = error.__cause__
    return ": ".join(text for text in texts if text)
