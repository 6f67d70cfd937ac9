"""A real server on the loopback interface, killed in mid-stream and brought back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.sources.base import Source
from edge.sources.opencv import FFMPEG_OPTIONS
from edge.sources.reopening import ReopeningSource
from edge.sources.stream import StreamSource
from edge.tensors import U8
from tests.edge.sources.rtsp_server import BLOCK, COLUMNS, ROWS

pytestmark = pytest.mark.rtsp
# The bindings of GStreamer are the system's, and not in our environment.
PYTHON = Path("/usr/bin/python3")
SERVER = Path(__file__).with_name("rtsp_server.py")
Start = Callable[[int], tuple[subprocess.Popen[str], int]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server at a port (0: any), and return it and its port."""
    servers: list[subprocess.Popen[str]] = []

    def start_one(port: int) -> tuple[subprocess.Popen[str], int]:
        if not PYTHON.exists():
            pytest.skip(f"there is no {PYTHON}")
        server = subprocess.Popen(
            [PYTHON, SERVER, str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        servers.append(server)
        assert server.stdout is not None
        assert server.stderr is not None
        word, _, bound = server.stdout.readline().partition(" ")
        if word != "ready":
            why = server.stderr.read().strip().splitlines()[-1:] or ["it says nothing"]
            pytest.skip(f"no RTSP server: {why[0]}")
        return server, int(bound)

    yield start_one
    for server in servers:
        server.kill()
        server.communicate()


def made_ms(pixels: U8) -> int:
    """Return when the server made a picture, as the picture itself says."""
    blocks = pixels[..., 1].reshape(ROWS, BLOCK, COLUMNS, BLOCK).mean(axis=(1, 3)) > 128
    return sum(int(bit) << place for place, bit in enumerate(blocks.reshape(-1)))


def read(source: Source, count: int) -> list[tuple[int, int]]:
    """Return number and time of making of so many frames, which come one after the other."""
    found = []
    for _ in range(count):
        frame = source.read()
        assert frame is not None
        assert frame.captured_ns == frame.arrived_ns
        found.append((frame.sequence, made_ms(frame.pixels)))
    return found


def test_a_server_that_comes_back_is_found_again(start: Start) -> None:
    server, port = start(0)
    address = f"rtsp://user:secret@127.0.0.1:{port}/camera"

    def open_one() -> StreamSource:
        return StreamSource(address)

    said: list[str] = []
    source = ReopeningSource(open_one(), open_one, first_delay_s=0.05, say=said.append)
    try:
        before = read(source, 10)
        server.kill()
        server.wait()
        # What is still on its way comes; then it is looked for in vain until it is there again.
        _, again = start(port)
        assert again == port
        while source.outages.count == 0 or source.outages.since_ns is not None:
            last = read(source, 1)[-1]
        after = read(source, 10)
    finally:
        source.close()
    frames = [*before, last, *after]
    assert frames == sorted(frames)
    assert frames[-1][0] > frames[0][0] + 15
    assert len({made for _, made in frames}) == len(frames)
    assert [line.partition(":")[0] for line in said] == ["rtsp", "rtsp"]
    assert "is closed and opened again" in said[0]
    assert "frames again, after" in said[1]
    assert "secret" not in "".join(said)


@pytest.mark.parametrize(("options", "is_old"), [(None, False), ("rtsp_transport;tcp", True)])
def test_old_frames_are_not_played_at_the_start(
    options: str | None, is_old: bool, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By FFmpeg's own settings the first ones are those that came while it looked at the stream:

    they were made one after the other, and come all at once.
    """
    if options is not None:
        monkeypatch.setenv(FFMPEG_OPTIONS, options)
    _, port = start(0)
    source = StreamSource(f"rtsp://127.0.0.1:{port}/camera")
    frames = [source.read() for _ in range(12)]
    source.close()
    first, last = frames[0], frames[-1]
    assert first is not None
    assert last is not None
    arriving_ms = (last.arrived_ns - first.arrived_ns) / 1e6
    making_ms = made_ms(last.pixels) - made_ms(first.pixels)
    assert (arriving_ms < making_ms / 2) is is_old
