"""The script with the process that broadcasts: as a user starts it, and as others see it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.broadcast.arguments import PASSWORD_VARIABLE, TOKEN_VARIABLE
from tests.device_scripts.test_as_service import FOR_EVER, ROOT, SCRIPT
from tests.edge.backends.tiny_models import onnx_model
from tests.edge.mqtt.broker import MOSQUITTO, PASSWORD, USER, Broker, Ear

TOKEN = "0123456789abcdef"  # noqa: S105


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model())
    return path


@contextmanager
def running(
    model: Path, *more: str, camera: str = FOR_EVER
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the script with a camera that never ends; give it and the URL it says, and end it."""
    arguments = ["--model", str(model), "--preprocess", "unit", *more]
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, camera, *arguments],
        cwd=ROOT,
        env=os.environ | {PASSWORD_VARIABLE: PASSWORD, TOKEN_VARIABLE: TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as loop:
        assert loop.stderr is not None
        said = loop.stderr.readline()
        url = re.search(r"http://\S+", said)
        try:
            assert url is not None, said
            yield loop, url[0]
        finally:
            loop.send_signal(signal.SIGTERM)
            rest = loop.communicate()[1]
        # No labels in this model: that alone is said, but for what befell the camera.
        said = "\n".join(line for line in rest.splitlines() if "scripted: " not in line)
        assert (loop.returncode, len(said.splitlines())) == (0, 1), rest


def ask(url: str) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})  # noqa: S310
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=20)  # noqa: S310 - ours
    return answer


def until(enough: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not enough():
        assert time.monotonic() < end_s
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(n) for task in tasks for n in (task / "children").read_text().split()]


def test_metrics_of_a_run(model: Path) -> None:
    with running(model, "--metrics", "0", "--interval", "0.2") as (loop, url):

        def found() -> dict[str, float]:
            with ask(url) as answer:
                text = answer.read().decode()
            return {
                sample.name: sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }

        until(lambda: found()["edge_frames_processed_total"] > 10)
        seen = found()
        [broadcast] = children(loop.pid)
        # What the process must not know by where others may read it, it does not.
        for name in ("cmdline", "environ"):
            told = Path(f"/proc/{broadcast}/{name}").read_bytes()
            assert TOKEN.encode() not in told
            assert PASSWORD.encode() not in told
        policy = os.sched_getscheduler(broadcast)
    assert seen["edge_frames_captured_total"] == (
        seen["edge_frames_processed_total"] + seen["edge_frames_skipped_total"]
    )
    assert seen["edge_frames_processed_total"] > 10
    assert seen["edge_last_class"] in (0, 1, 2)
    assert policy == os.SCHED_IDLE
    with pytest.raises(ProcessLookupError):
        os.kill(broadcast, 0)


def test_the_page_of_a_run_shows_what_the_camera_sees_now(model: Path) -> None:
    with running(model, "--web", "0") as (_, url):

        def picture() -> tuple[int, list[list[object]]]:
            with ask(f"{url}live.jpg") as answer:
                if answer.status == 204:
                    return 0, []
                assert answer.read().startswith(b"\xff\xd8")
                guesses: list[list[object]] = json.loads(answer.headers["x-guesses"])
                return int(answer.headers["x-number"]), guesses

        until(lambda: picture()[0] > 2)
        _, guesses = picture()
        assert str(guesses[0][0]).startswith("class ")
        with ask(url) as answer:
            assert b"<title>edge-live</title>" in answer.read()


def test_a_camera_that_is_lost_is_seen_everywhere(model: Path) -> None:
    lost = "Frames(20, every_s=0.01), Fail('unplugged', refusals=1), Frames(10**9, every_s=0.01)"
    options = ("--web", "0", "--metrics", "0", "--interval", "0.5")
    with running(model, *options, camera=f"[{lost}]") as (loop, url):
        assert loop.stderr is not None
        metrics = re.search(r"http://\S+/metrics", loop.stderr.readline())
        assert metrics is not None

        def page() -> dict[str, Any]:
            with ask(f"{url}status.json?after=0") as answer:
                said: dict[str, Any] = json.loads(answer.read())
                return said

        until(lambda: page()["problems"] != [])
        [notice] = page()["problems"]
        assert re.fullmatch(r"no frame for \d+ s, opening the camera again", notice)
        # After 0.5 and 1 s.
        until(lambda: page()["problems"] == [])
        until(lambda: page()["since_start"]["longest_gap_ns"] >= 1.5e9)
        until(lambda: page()["marks"] != [])
        assert page()["marks"][0]["words"][0] == "camera lost"
        with ask(metrics[0]) as answer:
            text = answer.read().decode()
    counted = dict(re.findall(r"^(edge_camera_\w+_total) (\S+)$", text, re.M))
    assert counted["edge_camera_outages_total"] == "1.0"
    assert 1.5 <= float(counted["edge_camera_lost_seconds_total"]) < 15


@pytest.mark.broker
@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_broker_hears_of_a_run_and_of_its_end(
    number: signal.Signals, model: Path, tmp_path: Path
) -> None:
    broker = Broker(tmp_path)
    broker.start()
    ear = Ear(broker)
    arguments = ["--model", str(model), "--preprocess", "unit", "--mqtt-stable", "0.1"]
    url = f"mqtt://{USER}@127.0.0.1:{broker.port}/porch"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(FOR_EVER), *arguments, "--mqtt", url],
        cwd=ROOT,
        env=os.environ | {PASSWORD_VARIABLE: PASSWORD},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as loop:
        ear.until("porch/availability", "online")
        ear.until("porch/label", "class")
        loop.send_signal(number)
        # By itself, or by the broker, which has the will of a process that went without a word.
        ear.until("porch/availability", "offline")
    ear.close()
    broker.stop()
