"""The script as a service manager runs it: what it hears over $NOTIFY_SOCKET."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.backends.tiny_models import onnx_model

ROOT = Path(__file__).parents[2]
# The script, with a camera that does what it is told in its first argument.
SCRIPT = """
import sys
from device_scripts import live_classify
from edge import service
from tests.edge.sources.scripted import Fail, Frames, Script, Stall

service.EXTEND_AGAIN_NS = 200_000_000
script = Script(*eval(sys.argv.pop(1)))
live_classify.open_source = lambda *_, **__: script.open()
raise SystemExit(live_classify.main())
"""
FOR_EVER = "[Frames(10**9, every_s=0.005)]"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        yield manager


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model())
    return path


def start(manager: socket.socket, model: Path, camera: str, *more: str) -> subprocess.Popen[str]:
    arguments = ["--model", str(model), "--preprocess", "unit", *more]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, camera, *arguments],
        cwd=ROOT,
        env=os.environ | {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def heard_until(manager: socket.socket, enough: dict[str, int]) -> list[str]:
    """Return what is heard until each of these news has come so many times."""
    heard: list[str] = []
    while any(sum(n.startswith(name) for n in heard) < count for name, count in enough.items()):
        heard.append(manager.recv(4096).decode())
    return heard


def test_a_run_is_ready_lives_says_how_it_goes_and_stops(
    manager: socket.socket, model: Path
) -> None:
    with start(manager, model, FOR_EVER) as child:
        heard = heard_until(manager, {"WATCHDOG=1": 8, "STATUS=": 2})
        child.send_signal(signal.SIGTERM)
        heard += heard_until(manager, {"STOPPING=1": 1})
        out, err = child.communicate()
    assert child.returncode == 0, err
    assert heard[0] == "READY=1"
    assert heard.count("READY=1") == 1
    assert [news for news in heard if news.startswith("STATUS=class ")]
    assert heard[-1] == "STOPPING=1"
    # Two lines of status went to the manager, not into its journal.
    [end] = out.splitlines()
    assert end.endswith("reason stopped")


def test_a_camera_that_is_slow_does_not_starve_the_watchdog(
    manager: socket.socket, model: Path
) -> None:
    with start(manager, model, "[Frames(1), Stall()]") as child:
        heard_until(manager, {"READY=1": 1, "STATUS=": 2})
        after = heard_until(manager, {"STATUS=": 2})
        child.send_signal(signal.SIGTERM)
        child.communicate()
    # A period is 0.2 s, and some 2 s went by without a frame.
    assert after.count("WATCHDOG=1") >= 8


def test_a_camera_that_is_slow_to_begin_does_not_run_out_of_time_to_start(
    manager: socket.socket, model: Path
) -> None:
    with start(manager, model, "[Frames(1, every_s=2), Stall()]", "--fps", "0.01") as child:
        heard = heard_until(manager, {"READY=1": 1})
        child.send_signal(signal.SIGTERM)
        child.communicate()
    asked = [news for news in heard if news.startswith("EXTEND_TIMEOUT_USEC=")]
    assert len(asked) >= 4
    assert heard.index("READY=1") > heard.index(asked[-1])
    assert child.returncode == 0


def test_a_camera_that_is_lost_and_comes_back_is_said(manager: socket.socket, model: Path) -> None:
    camera = "[Frames(9), Fail('unplugged'), Frames(10**9, every_s=0.01)]"
    with start(manager, model, camera) as child:
        heard = heard_until(manager, {"STATUS=": 3})
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate()
    assert child.returncode == 0
    assert heard[-1].startswith("STATUS=class ")
    lost, found = err.splitlines()[-2:]
    assert lost == "warning: scripted: unplugged. It is closed and opened again"
    assert found.startswith("warning: scripted: frames again, after ")


def test_a_camera_that_stays_lost_ends_the_process(manager: socket.socket, model: Path) -> None:
    camera = "[Frames(9), Fail('unplugged', refusals=10**9)]"
    with start(manager, model, camera, "--max-outage", "1.2") as child:
        heard = heard_until(manager, {"STOPPING=1": 1})
        _, err = child.communicate()
    assert child.returncode == 4
    assert any("no frame for 1 s, opening the camera again" in news for news in heard)
    assert heard[-2].startswith("STATUS=error: scripted: no frame for 1 s, the limit is 1.2 s")
    assert "Traceback" not in err


def test_what_cannot_start_is_never_ready_and_says_why(manager: socket.socket, model: Path) -> None:
    with start(manager, model, FOR_EVER, "--log", "/nowhere/log") as child:
        heard = heard_until(manager, {"STOPPING=1": 1})
        child.communicate()
    assert child.returncode == 2
    assert len(heard) == 2
    assert heard[0].startswith("STATUS=error: /nowhere/log: the latency log cannot be written")
