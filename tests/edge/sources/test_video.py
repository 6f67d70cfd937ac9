from __future__ import annotations

import socket
from pathlib import Path

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


def test_a_file_without_a_frame_is_refused_when_it_is_opened(clip: Path) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(SourceError, match=r"clip\.avi: (no video that can be|the video has no)"):
        VideoSource(str(clip))


def test_a_playlist_does_not_lead_into_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        segment = f"http://127.0.0.1:{server.getsockname()[1]}/0.ts"
        path = tmp_path / "list.m3u8"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{segment}\n")
        with pytest.raises(SourceError):
            VideoSource(str(path))
        with pytest.raises(BlockingIOError):  # nobody has knocked
            server.accept()


def test_the_time_of_each_frame_is_the_files(clip: Path) -> None:
    source = VideoSource(str(clip))
    found = []
    while (frame := source.read()) is not None:
        found.append(source.position_ns(frame.sequence) / 1e9)
    assert found == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    source.close()


def test_a_file_that_says_no_time_is_taken_by_its_rate(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = VideoSource(str(clip))
    monkeypatch.setattr(source._capture, "get", lambda _: 0.0)
    found = [source.position_ns(number) / 1e9 for number in range(3)]
    assert np.diff(found) == pytest.approx([0.1, 0.1])
