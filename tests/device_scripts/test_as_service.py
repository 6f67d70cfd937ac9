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
# The script, with a camera of 200 frames a second; after `frames` of them it hangs.
SCRIPT = """
import itertools, sys, threading, time
from device_scripts import live_classify
from tests.edge.fakes import ListSource, solid

frames = int(sys.argv.pop(1))
items = itertools.cycle([lambda: time.sleep(0.005), solid(0)])
source = ListSource(itertools.islice(items, 2 * frames), is_live=True, then_waits=True)
live_classify.open_source = lambda *_, **__: source
raise SystemExit(live_classify.main())
"""
FOR_EVER = 10**9


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


def start(manager: socket.socket, model: Path, frames: int, *more: str) -> subprocess.Popen[str]:
    arguments = ["--model", str(model), "--preprocess", "unit", *more]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(frames), *arguments],
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
    assert [news for news in heard if news.startswith("STATUS=class 0 ")]
    assert heard[-1] == "STOPPING=1"
    # Two lines of status went to the manager, not into its journal.
    [end] = out.splitlines()
    assert end.endswith("reason stopped")


def test_a_camera_that_hangs_starves_the_watchdog(manager: socket.socket, model: Path) -> None:
    with start(manager, model, 30) as child:
        heard_until(manager, {"READY=1": 1, "STATUS=": 2})  # the hang began long before
        after = heard_until(manager, {"STATUS=": 2})
        child.send_signal(signal.SIGTERM)
        child.communicate()
    assert len(after) == 2
    assert all(news.startswith("STATUS=") for news in after)


def test_what_cannot_start_is_never_ready_and_says_why(manager: socket.socket, model: Path) -> None:
    with start(manager, model, FOR_EVER, "--log", "/nowhere/log") as child:
        heard = heard_until(manager, {"STOPPING=1": 1})
        child.communicate()
    assert child.returncode == 2
    assert len(heard) == 2
    assert heard[0].startswith("STATUS=error: /nowhere/log: the latency log cannot be written")
