"""What befalls the whole process: signals, a full disk, a read-only one, a model that changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from edge.latency.read import LatencyLog, read_log, read_runs
from tests.edge.backends.tiny_models import move_weights_out, onnx_model, tflite_model
from tests.edge.latency.logs import SECOND

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
# The script, with a camera that does what it is told in its first argument.
SCRIPT = """
import sys
from device_scripts import live_classify
from edge.live import capture
from edge.sources import reopening
from tests.edge.sources.scripted import Fail, Frames, Hang, Script, Stall, frozen

reopening.GRACE_S = capture.CLOSE_TIMEOUT_S = 0.3
script = Script(*eval(sys.argv.pop(1)))
live_classify.open_source = lambda *_, **__: script.open()
raise SystemExit(live_classify.main())
"""
GOES_ON = "[Frames(10**9, every_s=0.005)]"


@pytest.fixture
def model_and_weights(tmp_path: Path) -> tuple[Path, Path]:
    path = tmp_path / "apart.onnx"
    path.write_bytes(onnx_model())
    return path, move_weights_out(path, "apart.bin")


@pytest.fixture(params=["onnx", "tflite"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"model.{request.param}"
    path.write_bytes(onnx_model() if request.param == "onnx" else tflite_model(dtype="float32"))
    return path


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model())
    return path


class Loop:
    """The running script; its labels are read as they come, and not waited for at the end."""

    def __init__(self, model: Path, log: Path, camera: str = GOES_ON, *more: str) -> None:
        self.log = log
        arguments = ["--model", str(model), "--preprocess", "unit", "--log", str(log), "--json"]
        arguments += ["--interval", "0.05", *more]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, camera, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def wait_for_labels(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.out.readline(), self.process.communicate()[1]

    def wait_until(self, is_done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_done():
            assert time.monotonic() < end
            self.wait_for_labels()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, list[str], str]:
        """Wait for the end; return the status, the last lines, and what was said on stderr."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.splitlines(), err


@pytest.fixture
def start() -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def begin(*arguments: object) -> Loop:
        loops.append(Loop(*arguments))  # type: ignore[arg-type]
        return loops[-1]

    yield begin
    for loop in loops:
        if loop.process.poll() is None:
            loop.process.kill()
            loop.process.communicate()


def adds_up(log: LatencyLog) -> bool:
    return all(i.captured == i.processed + i.skipped for i in log.intervals)


def test_a_process_that_was_stopped_says_so(
    start: Callable[..., Loop], onnx: Path, tmp_path: Path
) -> None:
    loop = start(onnx, tmp_path / "run.jsonl")
    loop.wait_for_labels(3)
    loop.send(signal.SIGSTOP)
    time.sleep(0.8)
    loop.send(signal.SIGCONT)
    loop.wait_for_labels(40)
    loop.send(signal.SIGTERM)
    status, _, _ = loop.end()
    assert status == 0
    log = read_log(loop.log)
    pauses = [i.incidents.pauses for i in log.intervals]
    # It cannot have run meanwhile; 0.1 s of that may have been its turn to wait.
    assert max(tally.longest_ns for tally in pauses) >= 0.7 * SECOND
    assert max(i.incidents.longest_gap_ns for i in log.intervals) >= 0.7 * SECOND
    assert adds_up(log)


def test_sigterm_in_an_outage_ends_with_a_whole_log(
    start: Callable[..., Loop], onnx: Path, tmp_path: Path
) -> None:
    camera = "[Frames(3, every_s=0.01), Fail('unplugged', refusals=10**9)]"
    loop = start(onnx, tmp_path / "run.jsonl", camera)
    loop.wait_for_labels()
    time.sleep(0.3)
    loop.send(signal.SIGTERM)
    status, lines, err = loop.end()
    assert status == 0
    assert json.loads(lines[-1])["reason"] == "stopped"
    log = read_log(loop.log)
    assert (log.reason, log.problems) == ("stopped", [])
    assert "unplugged. It is closed and opened again" in err
    assert adds_up(log)


def test_a_driver_that_hangs_ends_the_process(
    start: Callable[..., Loop], onnx: Path, tmp_path: Path
) -> None:
    camera = "[Frames(3, every_s=0.01), Hang()]"
    loop = start(onnx, tmp_path / "run.jsonl", camera, "--max-outage", "0.3")
    status, _, err = loop.end()
    assert status == 4
    assert "the driver hangs; this process ends" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert "the driver hangs" in (read_log(loop.log).reason or "")


def test_a_killed_run_reads_and_the_next_follows_it(
    start: Callable[..., Loop], onnx: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    for run in (1, 2):
        loop = start(onnx, path)
        loop.wait_until(path.exists)
        while path.read_bytes().count(b'"kind":"interval"') < 2 * run:
            loop.wait_for_labels()
        loop.send(signal.SIGKILL)
        assert loop.end()[0] == -signal.SIGKILL
    runs = read_runs(path)
    assert [log.reason for log in runs] == [None, None]
    assert all(len(log.intervals) >= 2 and not log.problems and adds_up(log) for log in runs)
    assert [file.name for file in tmp_path.glob("run.jsonl*")] == ["run.jsonl"]


def test_a_model_that_is_cut_off_while_it_runs_changes_nothing(
    start: Callable[..., Loop], model: Path, tmp_path: Path
) -> None:
    loop = start(model, tmp_path / "run.jsonl", "[Frames(10**9, frozen, every_s=0.005)]")
    before = json.loads(loop.out.readline())["guesses"]
    os.truncate(model, 0)
    loop.wait_for_labels(50)
    assert json.loads(loop.out.readline())["guesses"] == before
    loop.send(signal.SIGTERM)
    assert loop.end()[0] == 0


def test_weights_that_are_cut_off_while_it_runs_change_nothing(
    start: Callable[..., Loop], model_and_weights: tuple[Path, Path], tmp_path: Path
) -> None:
    model, weights = model_and_weights
    loop = start(model, tmp_path / "run.jsonl", "[Frames(10**9, frozen, every_s=0.005)]")
    before = json.loads(loop.out.readline())["guesses"]
    os.truncate(weights, 0)
    loop.wait_for_labels(50)
    assert json.loads(loop.out.readline())["guesses"] == before
    loop.send(signal.SIGTERM)
    assert loop.end()[0] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"a file system can be mounted by root alone: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not one byte on a disk."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return ballast


@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_disk_that_is_really_full_costs_intervals_and_no_frame(
    from_the_start: bool, start: Callable[..., Loop], onnx: Path, small_disk: Path
) -> None:
    path = small_disk / "run.jsonl"
    ballast = fill(small_disk) if from_the_start else None
    loop = start(onnx, path)
    loop.wait_for_labels()
    if ballast is None:
        loop.wait_until(lambda: path.stat().st_size > 4000)
        ballast = fill(small_disk)
    full_size = path.stat().st_size if path.exists() else 0
    for _ in range(3):
        loop.wait_for_labels(20)
        time.sleep(0.1)
    ballast.unlink()
    loop.wait_until(lambda: path.exists() and path.stat().st_size > full_size + 4000)
    loop.send(signal.SIGTERM)
    status, lines, err = loop.end()
    assert status == 0
    assert err.count("No space left on device") == 1
    assert "the latency log is written again" in err
    log = read_log(path)
    assert (log.reason, log.problems) == ("stopped", [])
    lost = sum(interval.lost for interval in log.intervals)
    assert lost >= 2
    assert json.loads(lines[-1])["processed"] > sum(i.processed for i in log.intervals)
    assert adds_up(log)


def test_a_disk_that_becomes_read_only_costs_intervals_and_no_frame(
    start: Callable[..., Loop], onnx: Path, small_disk: Path
) -> None:
    path = small_disk / "run.jsonl"
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    loop = start(onnx, path)
    loop.wait_for_labels(40)
    assert not path.exists()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    loop.wait_until(lambda: path.exists() and path.stat().st_size > 4000)
    loop.send(signal.SIGTERM)
    status, _, err = loop.end()
    assert status == 0
    assert err.count("Read-only file system") == 1
    assert read_log(path).problems == []
    assert read_log(path).reason == "stopped"
