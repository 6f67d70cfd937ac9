"""The Raspberry Pi's own camera, through picamera2."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from edge.clock import SensorClock
from edge.preprocess import Color
from edge.sources.base import SIZE, Frame, SourceError, Timestamps
from edge.tensors import U8

# libcamera names formats by the bits of a little-endian word, so that "BGR888" lies in memory as
# R, G, B: the order that most models are trained on, and then nothing has to be swapped.
FORMAT = "BGR888"
COLOR: Color = "rgb"
# One that the sensor fills, one that waits, one that we copy from. More only take contiguous
# memory, of which a Pi has little, and make frames older.
BUFFERS = 3
TIMEOUT_S = 5.0

_INSTALL = (
    "install it with `sudo apt install python3-picamera2` and make the virtual environment with "
    "`python3 -m venv --system-site-packages`"
)


class Picamera2Source:
    """A camera of the Pi.

    The picture comes from the main stream, which gives RGB on every Pi; the small second stream
    gives it only on a Pi 5. The image processor scales it to `size`, at no cost to the processor.
    `Frame.sequence` counts what was read, and shows no frame that was dropped before.
    """

    is_live = True
    timestamps: Timestamps = "sensor"
    broken_count = 0

    def __init__(
        self,
        number: int = 0,
        *,
        size: tuple[int, int] = SIZE,
        fps: float | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Open camera `number` and start it.

        Args: size: width and height of the frames; fps: rate to ask for (None: the camera's own);
            timeout_s: how long a frame may take before the camera counts as lost.
        Raises: SourceError: picamera2 is missing, or the camera is absent, busy or refuses.
        """
        self.name = f"picamera2:{number}" if number else "picamera2"
        self._timeout_s = timeout_s
        self._given = 0
        self._closed = False
        self._clock = SensorClock()
        cameras = list_cameras()
        if number >= len(cameras):
            raise SourceError(
                f"{self.name}: libcamera sees {len(cameras)} camera(s)"
                + "".join(f"; {index}: {model}" for index, model in enumerate(cameras))
                + ". Check the ribbon cable and `rpicam-hello --list-cameras`"
            )
        with self._explained():
            self._camera = _picamera2_class()(number)
        try:
            with self._explained():
                self._start(size, fps)
        except SourceError:
            self.close()
            raise

    def _start(self, size: tuple[int, int], fps: float | None) -> None:
        camera = self._camera
        controls = {} if fps is None else {"FrameRate": fps}
        # queue=False: a capture waits for the next frame; else it may get an old one.
        camera.configure(
            camera.create_video_configuration(
                main={"format": FORMAT, "size": size},
                buffer_count=BUFFERS,
                controls=controls,
                queue=False,
            )
        )
        stream = camera.stream_configuration("main")
        if stream["format"] != FORMAT:
            raise RuntimeError(f"the camera gives {stream['format']}, not {FORMAT}")
        self._width, self._height = stream["size"]
        self._stride = stream["stride"]
        camera.start()

    def read(self) -> Frame | None:
        """Return the next frame, its pixels and its metadata from one request.

        Raises: SourceError: the camera gave nothing in time, or failed.
        """
        if self._closed:
            return None
        try:
            job = self._camera.capture_request(wait=False)
            request = self._camera.wait(job, timeout=self._timeout_s)
        except CancelledError:
            return None  # closed meanwhile
        except TimeoutError as cause:
            if self._closed:
                return None
            raise SourceError(
                f"{self.name}: no frame for {self._timeout_s:g} s; the camera has stalled. "
                "Check its cable and power, and start again"
            ) from cause
        except RuntimeError as cause:
            raise SourceError(f"{self.name}: the camera failed ({cause})") from cause
        try:
            arrived_ns = time.monotonic_ns()
            pixels = self._pixels(request)
            stamp_ns = request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()
        captured_ns = None
        if stamp_ns is not None:
            captured_ns = self._clock.captured_ns(int(stamp_ns), arrived_ns)
        if captured_ns is None:
            captured_ns = arrived_ns
        frame = Frame(pixels, COLOR, self._given, captured_ns, arrived_ns)
        self._given += 1
        return frame

    def _pixels(self, request: Any) -> U8:  # noqa: ANN401 - picamera2 has no types
        """Return a copy of the picture without the padding at the end of its rows.

        A copy (0.9 MB), because the camera needs the buffer back before the loop is done with it.
        """
        from picamera2 import MappedArray

        with MappedArray(request, "main", reshape=False, write=False) as mapped:
            rows = mapped.array[: self._stride * self._height].reshape(self._height, self._stride)
            view = rows[:, : self._width * 3].reshape(self._height, self._width, 3)
            pixels: U8 = np.array(view, dtype=np.uint8, order="C")
            # A view that outlives the mapping would point into memory that is gone.
            del rows, view
        return pixels

    def close(self) -> None:
        """Stop the camera and give it back; a `read` that waits returns None."""
        if self._closed:
            return
        self._closed = True
        # Whatever state the camera is in, there is nothing more to do with it; and a camera that
        # was lost refuses the first, but must still be given back.
        with suppress(Exception):
            self._camera.cancel_all_and_flush()
        with suppress(Exception):
            self._camera.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what picamera2 raises into a SourceError that says what to do."""
        try:
            yield
        except (RuntimeError, MemoryError, OSError) as cause:
            chain = _chain(cause)
            if "busy" in chain.lower():
                advice = "another process uses it (see `sudo fuser -v /dev/media*`); stop that"
            elif "allocate" in chain.lower():
                advice = "no memory for its buffers; ask for smaller frames, or raise cma in config"
            else:
                advice = "check that `rpicam-hello` works"
            raise SourceError(f"{self.name}: cannot be opened ({chain}): {advice}") from cause


def list_cameras() -> list[str]:
    """Return the model of each camera that libcamera sees.

    Raises: SourceError: picamera2 is not installed, or does not fit the installed NumPy.
    """
    return [str(camera.get("Model", "?")) for camera in _picamera2_class().global_camera_info()]


def _picamera2_class() -> Any:  # noqa: ANN401 - picamera2 has no types
    try:
        from picamera2 import Picamera2
    except ImportError as cause:
        raise SourceError(f"picamera2 cannot be imported ({cause}); {_INSTALL}") from cause
    except ValueError as cause:
        # simplejpeg, compiled against another NumPy: "numpy.dtype size changed".
        raise SourceError(
            f"picamera2 does not fit the installed NumPy ({cause}); take the system's NumPy: "
            "`pip uninstall numpy` in a virtual environment with --system-site-packages"
        ) from cause
    return Picamera2


def _chain(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(str(error).strip().rstrip("."))
        error = error.__cause__
    return ": ".join(text for text in texts if text)
