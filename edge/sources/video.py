"""A video file, every frame of it; or a network stream, which is live."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit

import cv2

from edge.sources.base import Frame, SourceError, Timestamps
from edge.sources.opencv import Capture

TIMEOUT_MS = 10_000


class VideoSource:
    """A file that FFmpeg reads, or an address such as rtsp://host/path."""

    timestamps: Timestamps = "arrival"
    broken_count = 0

    def __init__(self, target: str) -> None:
        """Raises: SourceError: there is no such file or stream, or it has no picture."""
        self.is_live = "://" in target
        self.name = _without_password(target) if self.is_live else target
        # FFmpeg takes time-outs for files too, and ignores them.
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
        properties = [value for timeout in timeouts for value in (timeout, TIMEOUT_MS)]
        self._capture = Capture(target, cv2.CAP_FFMPEG, properties)
        self._given = 0
        if not self._capture.is_open:
            raise SourceError(
                f"{self.name}: no video that can be opened "
                + ("at this address" if self.is_live else "(damaged, or of an unknown format)")
            )

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end of a file.

        Raises: SourceError: a stream ended or stalled, or a file has not one frame.
        """
        pixels = self._capture.read()
        if pixels is None:
            if self._capture.closed or (self._given and not self.is_live):
                return None
            raise SourceError(
                f"{self.name}: the stream ended, or gave nothing for {TIMEOUT_MS // 1000} s"
                if self.is_live
                else f"{self.name}: the video has no frame that can be decoded"
            )
        now_ns = time.monotonic_ns()
        frame = Frame(pixels, "bgr", self._given, now_ns, now_ns)
        self._given += 1
        return frame

    def close(self) -> None:
        self._capture.close()


def _without_password(address: str) -> str:
    """Return the address as it may stand in a log. Raises: SourceError: it is none."""
    try:
        parts = urlsplit(address)
    except ValueError as cause:
        # Neither the address nor the cause is shown: both may hold the password.
        raise SourceError(
            "the host in the stream's address cannot be read; allowed: such as rtsp://host:554/path"
        ) from cause
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
