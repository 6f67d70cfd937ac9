from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.sources.base import SourceError
from edge.sources.video import VideoSource


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for shade in range(0, 250, 50):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()
    return path


def test_gives_every_frame_then_ends(clip: Path) -> None:
    source = VideoSource(str(clip))
    frames = list(iter(source.read, None))
    assert [round(float(frame.pixels.mean()), -1) for frame in frames] == [0, 50, 100, 150, 200]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[0].pixels.shape == (48, 64, 3)
    assert not source.is_live
    source.close()
    assert source.read() is None


def test_damaged_video_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(SourceError, match=r"a\.mp4: no video that can be opened"):
        VideoSource(str(path))


class EndlessCapture:
    """Stands for an address that opens, gives one frame and then stalls."""

    def __init__(self, *_: object) -> None:
        self.left = 1

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, np.zeros((2, 2, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.left = 0


def test_a_stream_is_live_and_its_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", EndlessCapture)
    source = VideoSource("rtsp://user:secret@camera.local:554/stream?x=1")
    assert source.is_live
    assert source.name == "rtsp://camera.local:554/stream?x=1"
    assert source.read() is not None
    with pytest.raises(SourceError, match="the stream ended") as caught:
        source.read()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["rtsp://user:secret@[::1", "rtsp://user:secret@host\u2100"])
def test_an_address_without_a_host_is_refused_and_keeps_its_secret(address: str) -> None:
    with pytest.raises(SourceError, match="host in the stream's address") as caught:
        VideoSource(address)
    assert "secret" not in str(caught.value)


def test_a_closed_stream_ends_without_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", EndlessCapture)
    source = VideoSource("rtsp://camera.local/stream")
    source.close()
    assert source.read() is None
