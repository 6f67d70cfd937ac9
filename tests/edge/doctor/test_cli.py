"""The command as a process on whatever machine this is; its verdicts are not asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.doctor import cli
from edge.doctor.checks import CHECKS
from edge.doctor.finding import Finding, fail, ok, warn
from edge.doctor.machine import Machine
from tests.edge.backends.tiny_models import tflite_model

ROOT = Path(__file__).parents[3]


def doctor(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "edge.doctor.cli", *args]
    return subprocess.run(
        command, cwd=cwd or ROOT, env=env, capture_output=True, text=True, check=False
    )


def test_it_examines_this_machine(tmp_path: Path) -> None:
    model = tmp_path / "a.tflite"
    model.write_bytes(tflite_model())
    done = doctor("--json", str(model), str(tmp_path / "none.tflite"), cwd=tmp_path)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    found = {one["subject"]: one for one in report["findings"]}
    assert set(CHECKS) < set(found)
    assert found["numpy"]["state"] == found["runtime"]["state"] == "ok"
    assert "times as fast as float" in found["int8 tflite"]["found"]
    assert "1 thread" in found[f"model {model}"]["found"]
    assert found[f"model {tmp_path}/none.tflite"]["state"] == "fail"
    assert (done.returncode, report["stops"] > 0) == (3, True)


def test_it_does_without_numpy_and_opencv() -> None:
    """A doctor that needs what is broken is none: it imports neither."""
    code = "import sys, edge.doctor.cli; print({'numpy', 'cv2'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("finding", "status"), [(ok("good"), 0), (warn("slow", "why"), 0), (fail("gone", "why"), 3)]
)
def test_the_status_says_whether_something_stops_the_loop(
    finding: Finding,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "examine", lambda *_: {"a": finding})
    assert cli.main([]) == status
    printed = capsys.readouterr()
    assert printed.out.splitlines()[2].endswith(f"a  {finding.found}")
    assert printed.err == ""


def test_a_terminal_is_told_what_takes_so_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def examine(_: Machine, begin: Callable[[str], None]) -> dict[str, Finding]:
        begin("a\x1b")
        return {"a": ok("good")}

    monkeypatch.setattr(cli, "examine", examine)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main(["--json"]) == 0
    assert capsys.readouterr().err == "\r\x1b[Klooking at a\ufffd ...\r\x1b[K"


def test_a_log_in_no_folder_is_a_bad_argument(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--log", str(tmp_path / "none/run.jsonl")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_help_states_the_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert "3 where something does" in text
    assert "edge-doctor --json" in text
