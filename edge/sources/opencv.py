"""What OpenCV's two kinds of capture, cameras and videos, have in common."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import cv2

from edge.tensors import U8

FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


@contextmanager
def ffmpeg_options(options: Mapping[str, str]) -> Iterator[None]:
    """Let captures that are opened inside have these options of FFmpeg, which has no other way in.

    What the user has set in the environment wins.
    """
    if FFMPEG_OPTIONS in os.environ:
        yield
        return
    os.environ[FFMPEG_OPTIONS] = "|".join(f"{name};{value}" for name, value in options.items())
    try:
        yield
    finally:
        del os.environ[FFMPEG_OPTIONS]


class Capture:
    """A `cv2.VideoCapture` that may be closed while another thread reads it.

    OpenCV itself crashes when it is released in the middle of a call.
    """

    def __init__(self, target: str, api: int, properties: list[int]) -> None:
        """Open `target`; `properties` are pairs of a property and its value.

        A capture that could not be opened is one whose `is_open` is False.
        """
        # What fails is said once, by us: OpenCV and FFmpeg would say it in five lines of their own,
        # with the password of a stream in them.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self._lock = threading.Lock()
        self._capture = cv2.VideoCapture(target, api, properties)
        self.closed = False

    @property
    def is_open(self) -> bool:
        return self._capture.isOpened()

    def get(self, prop: int) -> float:
        """Return a property; 0.0 where the capture does not have it, or is closed."""
        with self._lock:
            value = 0.0 if self.closed else float(self._capture.get(prop))
        if self.closed:
            self._release()
        return value

    def set(self, prop: int, value: float) -> bool:
        """Change a property, and return whether the capture says that it took it."""
        with self._lock:
            taken = not self.closed and bool(self._capture.set(prop, value))
        if self.closed:
            self._release()
        return taken

    def read(self) -> U8 | None:
        """Return the next picture, uint8 [H, W, 3] B, G, R, owned by the caller; else None.

        A camera that was told not to convert gives what it sent, uint8 [1, bytes].
        """
        with self._lock:
            try:
                good, pixels = (False, None) if self.closed else self._capture.read()
            except cv2.error:  # what was sent is not of the size that OpenCV reckons its format has
                good, pixels = False, None
        if self.closed:
            self._release()
        return pixels if good else None  # type: ignore[return-value]

    def close(self) -> None:
        """Close now, or as soon as the call in progress is over; do not wait for it."""
        self.closed = True
        self._release()

    def _release(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._lock.release()
