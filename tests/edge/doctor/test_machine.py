from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from edge.doctor import child_import
from edge.doctor.interpreter import Python
from edge.doctor.machine import MAX_BYTES, Machine, Said, run
from tests.edge.doctor.machines import Answers


def test_a_program_that_answers() -> None:
    assert run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10) == Said(3, "out\n", "err\n")
    assert run(["sh", "-c", "printf '\\377'"], 10).out == "\N{REPLACEMENT CHARACTER}"
    assert run(["cat"], 10) == Said(0)  # it has no input to wait for


def test_a_program_that_does_not() -> None:
    assert run(["/no/such/program"], 10) == Said(None)
    assert run(["nul\0"], 10) == Said(None)
    begin = time.monotonic()
    assert run(["sleep", "30"], 0.2) == Said(None)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (Said(1, "", "a\nValueError: b \n\n"), "ValueError: b"),
        (Said(-11), "exit status -11"),
        (Said(None), "it did not answer in time"),
        (Said(1, "", "x" * 999), "x" * 300),
    ],
)
def test_the_last_line_says_what_went_wrong(said: Said, line: str) -> None:
    assert said.last_line == line


def test_files_that_are_missing_large_or_odd(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path)
    assert (machine.text("nothing"), machine.paths("no/*"), machine.mib("CmaTotal")) == (
        "",
        [],
        None,
    )
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    assert len(machine.text("large")) == MAX_BYTES
    (tmp_path / "odd").write_bytes(b" a: b\n\xff\n c : d:e\0")
    assert machine.table("odd") == {"a": "b", "\N{REPLACEMENT CHARACTER}": "", "c": "d:e"}


def test_only_success_is_believed() -> None:
    machine = Machine(run=Answers({"good": Said(0, " yes\n"), "bad": Said(1, "yes")}))
    assert (machine.said("good"), machine.said("bad"), machine.said("none")) == ("yes", "", "")


def test_a_child_runs_our_code_and_not_what_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('evil')")
    monkeypatch.chdir(tmp_path)
    said = Machine().child("edge.doctor.child_import", "json")
    assert (said.status, said.err) == (0, "")
    assert said.out.strip().count(".") == 2  # the version of Python's own
    lost = Machine().child("edge.doctor.child_import", "no_such_module_here")
    assert lost.status == 1
    assert lost.last_line == "ModuleNotFoundError: No module named 'no_such_module_here'"


def test_a_module_without_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    child_import.main(["edge.text"])
    assert capsys.readouterr().out == "\n"


def test_this_python() -> None:
    python = Python()
    assert python.version == sys.version_info[:3]
    assert python.bits in (32, 64)
    assert python.is_venv == (sys.prefix != sys.base_prefix)
