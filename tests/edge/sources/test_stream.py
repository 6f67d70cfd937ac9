from __future__ import annotations

import os
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge.sources.base import SourceError
from edge.sources.opencv import FFMPEG_OPTIONS
from edge.sources.stream import StreamSource, name_of


class OneFrame:
    """Stands for an address that opens, gives one frame and then stalls."""

    options: ClassVar[list[str]] = []

    def __init__(self, *_: object) -> None:
        self.options.append(os.environ.get(FFMPEG_OPTIONS, ""))
        self.left = 1

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, np.zeros((2, 2, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.left = 0


class Refused(OneFrame):
    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return False


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> type[OneFrame]:
    class Capture(OneFrame):
        options: ClassVar[list[str]] = []

    monkeypatch.delenv(FFMPEG_OPTIONS, raising=False)
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    return Capture


@pytest.mark.usefixtures("capture")
def test_a_stream_is_live_and_its_end_is_an_error() -> None:
    source = StreamSource("rtsp://user:secret@camera.local:554/stream?password=secret")
    assert source.is_live
    assert source.timestamps == "arrival"
    assert source.name == "rtsp://camera.local:554/stream"
    assert source.read() is not None
    with pytest.raises(SourceError, match="the stream ended") as caught:
        source.read()
    assert "secret" not in str(caught.value)
    source.close()
    assert source.read() is None


def test_the_options_are_for_this_capture_alone_and_the_users_win(
    capture: type[OneFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    StreamSource("rtsp://camera.local/stream")
    assert "rtsp_transport;tcp|" in capture.options[-1]
    assert FFMPEG_OPTIONS not in os.environ
    monkeypatch.setenv(FFMPEG_OPTIONS, "rtsp_transport;udp")
    StreamSource("rtsp://camera.local/stream")
    assert capture.options[-1] == os.environ[FFMPEG_OPTIONS] == "rtsp_transport;udp"


def test_what_cannot_be_opened_keeps_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Refused)
    with pytest.raises(SourceError, match=r"^rtsp://camera/s: no video") as caught:
        StreamSource("rtsp://user:secret@camera/s")
    assert "secret" not in str(caught.value)
    assert FFMPEG_OPTIONS not in os.environ


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://a:b@c:d@host/path", "rtsp://host/path"),
        ("rtsp://host/user=admin_password=secret_channel=1.sdp", "rtsp://host/..."),
        ("http://[::1]:80/mjpg/video.mjpg#secret", "http://[::1]:80/mjpg/video.mjpg"),
        ("rtsp://host", "rtsp://host"),
    ],
)
def test_names_hold_no_secret(address: str, name: str) -> None:
    assert name_of(address) == name


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("rtsp://user:secret@[::1", "host in the stream's address"),
        ("rtsp://user:secret@host\u2100", "host in the stream's address"),
        ("rtsp://user:secret@/path", "host in the stream's address"),
        ("file://user:secret@host/etc/passwd", "file:// is no stream; allowed: rtsp, "),
        ("concat://secret/a|b", "concat:// is no stream"),
    ],
)
def test_what_is_no_address_of_a_stream_is_refused_and_keeps_its_secret(
    address: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        StreamSource(address)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
