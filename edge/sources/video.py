"""A video file, every frame of it."""

from __future__ import annotations

import time

import cv2

from edge.sources.base import Frame, SourceError, Timestamps
from edge.sources.opencv import Capture, ffmpeg_options

# A playlist may name other files and addresses: addresses are not opened. Nor is one without an end
# read again and again for 30 s: a file does not grow.
OPTIONS = {"protocol_whitelist": "file", "max_reload": "0"}
DEFAULT_FPS = 30.0


class VideoSource:
    """A file that FFmpeg reads."""

    is_live = False
    timestamps: Timestamps = "arrival"
    broken_count = 0

    def __init__(self, path: str) -> None:
        """Raises: SourceError: the file cannot be read, or has no picture."""
        self.name = path
        with ffmpeg_options(OPTIONS):
            self._capture = Capture(path, cv2.CAP_FFMPEG, [])
        self._given = 0
        self._position_ms = -1.0
        if not self._capture.is_open:
            raise SourceError(
                f"{path}: no video that can be opened (damaged, or of an unknown format)"
            )
        # Decoded here, so that a file without a picture is refused when it is opened.
        self._first = self._capture.read()
        if self._first is None:
            self._capture.close()
            raise SourceError(f"{path}: the video has no frame that can be decoded")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._duration_ms = 1000 / (fps if fps > 0 else DEFAULT_FPS)

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end."""
        pixels, self._first = self._first, None
        if pixels is None:
            pixels = self._capture.read()
        if pixels is None or self._capture.closed:
            return None
        now_ns = time.monotonic_ns()
        frame = Frame(pixels, "bgr", self._given, now_ns, now_ns)
        self._given += 1
        return frame

    def position_ns(self, _sequence: int) -> int:
        """Return when the frame just read is to be shown, from the file's begin.

        Where the file does not say it, or goes back, it is a frame duration after the one before.
        """
        shown_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        later = shown_ms > self._position_ms
        self._position_ms = shown_ms if later else self._position_ms + self._duration_ms
        return round(self._position_ms * 1e6)

    def close(self) -> None:
        self._capture.close()
