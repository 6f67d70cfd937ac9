from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pi_lab import machine, roots
from tests.pi_lab.__main__ import main
from tests.pi_lab.machine import ENTER, MACHINES, TOOLS, Machine, enter
from tests.pi_lab.roots import REPOSITORY, LabError

EMULATED = Machine("a_board", "arm64", "qemu-of-a-board", core="cortex-a76")


def tools(folder: Path, *names: str) -> None:
    """Put tools there that do nothing, and nothing else on the path."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\nexit ${LAB_TEST_STATUS:-0}\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(roots, "PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_what_is_missing_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EMULATED.missing() == [
        f"{tool} is not installed" for tool in (*TOOLS, EMULATED.emulator)
    ]
    tools(path, *TOOLS)
    assert EMULATED.missing() == ["qemu-of-a-board is not installed"]
    tools(path, EMULATED.emulator)
    assert EMULATED.missing() == []
    monkeypatch.setenv("LAB_TEST_STATUS", "1")
    assert EMULATED.missing() == ["namespaces cannot be made (unshare is refused)"]


def test_a_machine_of_this_kind_needs_no_emulator(path: Path) -> None:
    tools(path, *TOOLS)
    native = Machine(os.uname().machine, "any", "qemu-of-a-board")
    assert not native.is_emulated
    assert native.missing() == []


def test_what_cannot_be_run_is_left_out_and_nothing_is_made(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[:2] for line in lines] == [[name, " skipped"] for name in MACHINES]
    assert sorted(tmp_path.iterdir()) == [path]


def test_machines_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["riscv64"])
    assert caught.value.code == 2
    assert "machines are x86_64, aarch64" in capsys.readouterr().err


def test_a_build_that_fails_says_why_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    tools(path, "mmdebstrap")
    (path / "mmdebstrap").write_text("#!/bin/sh\necho no such suite >&2\nexit 25\n")
    with pytest.raises(LabError, match="mmdebstrap failed with 25: no such suite"):
        machine.prepare(EMULATED)
    assert list((tmp_path / "cache" / "edge-deploy" / "pi-lab").iterdir()) == []


@pytest.mark.usefixtures("path")
def test_a_root_is_kept_as_long_as_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "unpack", lambda root, *_: root.mkdir())
    monkeypatch.setattr(roots, "add_wheels", lambda *_: None)
    kept = machine.prepare(EMULATED)
    assert (kept / "repository").is_dir()
    assert (kept / machine.CAMERAS).readlink() == Path("/lab/cameras.yaml")
    (kept / "mark").touch()
    assert machine.prepare(EMULATED) == kept
    assert (kept / "mark").exists()
    other = machine.cache() / "other-1234"
    other.mkdir()
    monkeypatch.setattr(machine, "PACKAGES", ("another",))
    new = machine.prepare(EMULATED)
    assert new != kept
    # That of the old recipe has gone, another machine's has not.
    assert set(machine.cache().iterdir()) == {new, other}


def test_how_a_machine_is_entered(path: Path, tmp_path: Path) -> None:
    tools(path, EMULATED.emulator)
    root, lab = tmp_path / "a root", tmp_path / "lab"
    lab.mkdir()
    line = enter(EMULATED, root, lab, ["-m", "x"], {"PI_LAB_FPS": "30"})
    assert line[: len(ENTER)] == ENTER
    script = line[-1]
    assert f"mount --bind {REPOSITORY} '{root}/repository'" in script
    assert f"mount -o remount,bind,ro '{root}/repository'" in script
    assert f"'{root}' /emulator /usr/bin/python3 -m x" in script
    assert "PI_LAB_FPS=30" in script
    assert "QEMU_CPU=cortex-a76" in script
    assert "CPU part\t: 0xd0b" in (lab / "cpuinfo").read_text()


@pytest.mark.skipif(
    subprocess.run([*ENTER, "true"], capture_output=True, check=False).returncode != 0,
    reason="namespaces cannot be made here",
)
def test_what_is_mounted_is_gone_afterwards(tmp_path: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    (tmp_path / "there").mkdir()
    script = (
        f"mount -t tmpfs lab {tmp_path}/there; touch {tmp_path}/there/file; ls {tmp_path}/there"
    )
    done = subprocess.run([*ENTER, "sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "file\n"
    assert list((tmp_path / "there").iterdir()) == []
    assert Path("/proc/self/mountinfo").read_text() == before


def test_the_help_says_what_the_statuses_mean() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.pi_lab", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Exit status" in done.stdout
