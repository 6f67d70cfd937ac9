"""A network camera, such as rtsp://host/path: live, and opened again where it is lost."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import cv2

from edge.sources.base import Frame, SourceError, Timestamps
from edge.sources.opencv import Capture, ffmpeg_options

# No "file" or "concat": what is named is a camera.
SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp")
TIMEOUT_MS = 10_000
# Over UDP a lost packet tears the picture. FFmpeg keeps what it reads while it finds out what the
# stream is: the first frames would be a second old.
OPTIONS = {
    "rtsp_transport": "tcp",
    "fflags": "nobuffer",
    "analyzeduration": "500000",
    "probesize": "500000",
}


class StreamSource:
    """An address that FFmpeg reads. Over RTSP it is TCP, and nothing is buffered.

    A stream's stamps count from its own begin, and say nothing of when a picture was taken.
    """

    is_live = True
    timestamps: Timestamps = "arrival"
    broken_count = 0

    def __init__(self, address: str) -> None:
        """Raises: SourceError: it is no address, or has no picture. Its password is not said."""
        self.name = name_of(address)
        properties = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS),
        ]
        with ffmpeg_options(OPTIONS):
            self._capture = Capture(address, cv2.CAP_FFMPEG, properties)
        self._given = 0
        if not self._capture.is_open:
            raise SourceError(
                f"{self.name}: no video that can be opened at this address; see that the camera is "
                "on, and that user, password and path are right (ffprobe says more)"
            )

    def read(self) -> Frame | None:
        """Return the next frame. Raises: SourceError: the stream ended or stalled."""
        pixels = self._capture.read()
        if pixels is None:
            if self._capture.closed:
                return None
            raise SourceError(
                f"{self.name}: the stream ended, or gave nothing for {TIMEOUT_MS // 1000} s"
            )
        now_ns = time.monotonic_ns()
        frame = Frame(pixels, "bgr", self._given, now_ns, now_ns)
        self._given += 1
        return frame

    def close(self) -> None:
        self._capture.close()


def name_of(address: str) -> str:
    """Return the address as it may stand in a log: without user, password and query.

    Some cameras take the password in the path; one that holds an equals sign is left out as well.
    Raises: SourceError: it is no address of a stream.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        host = None
    # What is refused is not shown: it may hold a password, and so may the cause.
    if not host:
        raise SourceError(
            "the host in the stream's address cannot be read; allowed: such as rtsp://host:554/path"
        ) from None
    if parts.scheme not in SCHEMES:
        raise SourceError(
            f"{parts.scheme}:// is no stream; allowed: {', '.join(SCHEMES)}, such as "
            "rtsp://host:554/path; a file is named by its path alone"
        )
    place = parts.netloc.rpartition("@")[2]
    path = parts.path if re.fullmatch(r"[\w/.~%+-]*", parts.path) else "/..."
    return f"{parts.scheme}://{place}{path}"
