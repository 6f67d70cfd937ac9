"""A camera that Linux shows as /dev/videoN: USB cameras and capture cards."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2

from edge.processes import processes_using
from edge.sources.base import SIZE, Frame, SourceError, Timestamps
from edge.sources.opencv import Capture

# A driver's stamp that lies further back than this is on another clock.
MAX_DRIVER_AGE_NS = 10_000_000_000


class V4l2Source:
    """A V4L2 camera. A frame is read when it is opened, so that a camera that opens also works.

    `Frame.sequence` counts what was read: OpenCV does not say what the driver dropped.
    """

    is_live = True
    broken_count = 0

    def __init__(
        self,
        device: Path,
        *,
        size: tuple[int, int] = SIZE,
        fps: float | None = None,
        proc: Path = Path("/proc"),
    ) -> None:
        """Open `device` (/dev/videoN).

        Args: size: width and height to ask for (a camera may give others); fps: rate to ask for;
            proc: where the processes are listed.
        Raises: SourceError: the camera is absent, busy, not allowed, or gives nothing.
        """
        self.name = device_name(device)
        _require_access(device)
        self._capture = Capture(str(device), cv2.CAP_V4L2, _properties(size, fps))
        self._given = 0
        if not self._capture.is_open or self._capture.read() is None:
            self._capture.close()
            raise SourceError(_no_picture(device, proc))
        # That frame is not given to anyone: it would be old before the loop begins.
        stamp_ns = self._driver_ns(time.monotonic_ns())
        self.timestamps: Timestamps = "driver" if stamp_ns else "arrival"

    def read(self) -> Frame | None:
        """Return the next frame. Raises: SourceError: the camera was lost or gave none for 10 s."""
        pixels = self._capture.read()
        if pixels is None:
            if self._capture.closed:
                return None
            raise SourceError(
                f"{self.name}: the camera stopped giving frames; see that it is still plugged in"
            )
        arrived_ns = time.monotonic_ns()
        captured_ns = self._driver_ns(arrived_ns) or arrived_ns
        frame = Frame(pixels, "bgr", self._given, captured_ns, arrived_ns)
        self._given += 1
        return frame

    def _driver_ns(self, now_ns: int) -> int:
        """Return the driver's stamp of the frame just read, 0 where it is of another clock."""
        # OpenCV gives the buffer's timestamp here, which nearly every driver takes from
        # CLOCK_MONOTONIC; in milliseconds, whose double still resolves better than 1 us.
        stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        return stamp_ns if 0 <= now_ns - stamp_ns < MAX_DRIVER_AGE_NS and stamp_ns > 0 else 0

    def close(self) -> None:
        self._capture.close()


def device_name(device: Path) -> str:
    """Return "v4l2:N" for /dev/videoN, else the path."""
    number = device.name.removeprefix("video")
    return f"v4l2:{number}" if number.isdigit() else str(device)


def _properties(size: tuple[int, int], fps: float | None) -> list[int]:
    properties = [cv2.CAP_PROP_FRAME_WIDTH, size[0], cv2.CAP_PROP_FRAME_HEIGHT, size[1]]
    if fps is not None:
        properties += [cv2.CAP_PROP_FPS, round(fps)]
    return properties


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
