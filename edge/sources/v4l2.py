"""A camera that Linux shows as /dev/videoN: USB cameras and capture cards."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge.processes import processes_using
from edge.sources.base import SIZE, Frame, SourceError, Timestamps
from edge.sources.decode import decode
from edge.sources.frame_count import FrameCount
from edge.sources.opencv import Capture
from edge.sources.usual_interval import UsualInterval
from edge.text import printable

# A driver whose first stamp lies further back than this stamps by another clock.
MAX_FIRST_AGE_NS = 10_000_000_000
# So far ahead of now, it is of this clock all the same: drivers give the end of a frame that they
# reckon beforehand, or bring a camera's own clock to ours, and are some milliseconds off.
MAX_AHEAD_NS = 1_000_000_000
# How long every picture may be broken before the camera is.
MAX_BROKEN_NS = 10_000_000_000
# One that is filled, and one that is read: in more of them, frames would grow old.
BUFFERS = 2
DEFAULT_FPS = 30.0
# A rate that is lower than asked by more is another rate (29.97 for 30 is not).
SAME_RATE = 0.9


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a camera agreed to. `fps` is 0 where it does not say."""

    pixel_format: str
    width: int
    height: int
    fps: float


class V4l2Source:
    """A V4L2 camera. A frame is read when it is opened, so that a camera that opens also works.

    OpenCV does not hand on the driver's count of frames, but its stamps: a distance of several
    frame durations between two is a gap in `Frame.sequence`. Pictures in MJPG that are cut off or
    cannot be decoded are passed over and counted. `details`: what was agreed with the camera.
    """

    is_live = True

    def __init__(
        self,
        device: Path,
        *,
        size: tuple[int, int] = SIZE,
        fps: float | None = None,
        pixel_format: str | None = None,
        proc: Path = Path("/proc"),
    ) -> None:
        """Open `device` (/dev/videoN).

        Args: size: width and height to ask for (a camera may give others); fps: rate to ask for;
            pixel_format: "YUYV" or "MJPG" (None: YUYV, but MJPG where only that comes at the
            rate, and whatever OpenCV can read where the camera has neither); proc: where the
            processes are listed.
        Raises: SourceError: the camera is absent, busy, not allowed, gives nothing, or another
            format than the one asked for.
        """
        self.name = device_name(device)
        self.broken_count = 0
        _require_access(device)
        self._capture, agreed = _negotiate(device, size, fps, pixel_format)
        self.details = {
            "pixel format": agreed.pixel_format,
            "size": f"{agreed.width}x{agreed.height}",
            "frames per second": f"{agreed.fps:g}" if agreed.fps else "unknown",
        }
        # In the place of one that it cannot decode, OpenCV leaves the last picture, and says
        # nothing: compressed ones are taken as they come.
        self._is_encoded = agreed.pixel_format == "MJPG"
        if self._is_encoded:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        if not self._capture.is_open or self._capture.read() is None:
            self._capture.close()
            raise SourceError(_no_picture(device, proc))
        # That frame is not given to anyone: it would be old before the loop begins.
        now_ns = time.monotonic_ns()
        stamp_ns = self._stamp_ns(now_ns)
        is_known = stamp_ns > 0 and now_ns - stamp_ns < MAX_FIRST_AGE_NS
        self.timestamps: Timestamps = "driver" if is_known else "arrival"
        self._count = FrameCount()
        self._usual = UsualInterval(agreed.fps)

    def read(self) -> Frame | None:
        """Return the next frame. Raises: SourceError: the camera was lost or gave none for 10 s."""
        begin_ns = time.monotonic_ns()
        while True:
            raw = self._capture.read()
            if raw is None:
                if self._capture.closed:
                    return None
                raise SourceError(
                    f"{self.name}: the camera stopped giving frames; see that it is plugged in"
                )
            arrived_ns = time.monotonic_ns()
            stamp_ns = self._stamp_ns(arrived_ns) if self.timestamps == "driver" else 0
            sequence = self._count.next(None, stamp_ns or None, self._usual.next(stamp_ns))
            pixels = decode(raw.tobytes()) if self._is_encoded else raw
            if pixels is not None:
                captured_ns = min(stamp_ns or arrived_ns, arrived_ns)
                return Frame(pixels, "bgr", sequence, captured_ns, arrived_ns)
            self.broken_count += 1
            if arrived_ns - begin_ns > MAX_BROKEN_NS:
                raise SourceError(
                    f"{self.name}: no picture could be decoded for {MAX_BROKEN_NS // 10**9} s; try "
                    "another cable or USB port, or --pixel-format YUYV"
                )

    def _stamp_ns(self, now_ns: int) -> int:
        """Return the driver's stamp of the frame just read, 0 where it is of another clock."""
        # OpenCV gives the buffer's timestamp here, which nearly every driver takes from
        # CLOCK_MONOTONIC; in milliseconds, whose double still resolves better than 1 us.
        stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        return stamp_ns if 0 < stamp_ns < now_ns + MAX_AHEAD_NS else 0

    def close(self) -> None:
        self._capture.close()


def device_name(device: Path) -> str:
    """Return "v4l2:N" for /dev/videoN, else the path."""
    number = device.name.removeprefix("video")
    return f"v4l2:{number}" if number.isdigit() else str(device)


def _negotiate(
    device: Path, size: tuple[int, int], fps: float | None, pixel_format: str | None
) -> tuple[Capture, Negotiated]:
    """Open the camera, and return what it agreed to. What cannot be opened agreed to nothing.

    Raises: SourceError: it gives another format than the one named.
    """
    capture, agreed = _ask(device, size, fps, pixel_format or "YUYV")
    if not capture.is_open:
        return capture, agreed
    if pixel_format is not None:
        if agreed.pixel_format != pixel_format:
            capture.close()
            raise SourceError(
                f"{device_name(device)} gives {agreed.pixel_format or 'an unnamed format'} at "
                f"{size[0]}x{size[1]}, not {pixel_format}; see `v4l2-ctl -d {device} "
                "--list-formats-ext`, or leave out --pixel-format"
            )
        return capture, agreed
    if agreed.pixel_format == "YUYV" and 0 < agreed.fps < SAME_RATE * (fps or DEFAULT_FPS):
        # Only one capture at a time can hold the camera.
        capture.close()
        faster, agreed_too = _ask(device, size, fps, "MJPG")
        if agreed_too.pixel_format == "MJPG" and agreed_too.fps > agreed.fps:
            return faster, agreed_too
        faster.close()
        return _ask(device, size, fps, "YUYV")
    return capture, agreed


def _ask(
    device: Path, size: tuple[int, int], fps: float | None, pixel_format: str
) -> tuple[Capture, Negotiated]:
    # OpenCV sets them one after the other: the format first, as sizes and rates hang on it. Where
    # the camera does not have it, OpenCV takes another and does not say so.
    wanted = {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*pixel_format),
        cv2.CAP_PROP_FRAME_WIDTH: size[0],
        cv2.CAP_PROP_FRAME_HEIGHT: size[1],
        cv2.CAP_PROP_BUFFERSIZE: BUFFERS,
    }
    properties = [number for pair in wanted.items() for number in pair]
    capture = Capture(str(device), cv2.CAP_V4L2, properties)
    if not capture.is_open:
        return capture, Negotiated("", 0, 0, 0.0)
    if fps is not None:
        # In whole frames for OpenCV, and none is no rate. A driver may have but one.
        capture.set(cv2.CAP_PROP_FPS, max(1, round(fps)))
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    name = code.to_bytes(4, "little").decode("ascii", "replace") if code > 0 else ""
    width, height = (
        int(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    rate = max(0.0, capture.get(cv2.CAP_PROP_FPS))  # -1 where the driver does not say
    return capture, Negotiated(printable(name.strip()), width, height, rate)


def _require_access(device: Path) -> None:
    if not device.exists():
        found = sorted(str(other) for other in device.parent.glob("video*"))
        raise SourceError(
            f"there is no camera {device}; found: {', '.join(found) or 'none'}. "
            "Plug one in, or name another with --source"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(
            f"{device}: no permission; add yourself to the group that owns it "
            "(sudo usermod -aG video $USER) and log in again"
        )


def _no_picture(device: Path, proc: Path) -> str:
    users = processes_using([device], proc)
    if users:
        return f"{device} is busy: {', '.join(map(str, users))} uses it; stop that first"
    return (
        f"{device} gives no picture: it is no camera, or a process of another user holds it; "
        f"see `v4l2-ctl --list-devices` and `sudo fuser -v {device}`"
    )
