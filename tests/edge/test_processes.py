from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from edge.processes import Process, named, processes_locking, processes_using

HOLDS = "import sys; file = open(sys.argv[1], 'r+'); print(flush=True); sys.stdin.read()"
LOCKS = HOLDS.replace("print", "import fcntl; fcntl.lockf(file, fcntl.LOCK_EX); print")


def test_finds_a_real_process_that_holds_a_file(tmp_path: Path) -> None:
    device, other = tmp_path / "video0", tmp_path / "video1"
    for path in (device, other):
        path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(device)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert [user.pid for user in processes_using([other, device])] == [child.pid]
        assert processes_using([other]) == []
        assert processes_locking([device]) == []  # open is not locked
        child.communicate()
    assert processes_using([device]) == []


def test_finds_a_real_process_that_has_locked_a_file(tmp_path: Path) -> None:
    device = tmp_path / "media0"
    device.touch()
    with subprocess.Popen(
        [sys.executable, "-c", LOCKS, str(device)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        [holder] = processes_locking([device, tmp_path / "none"])
        assert holder.pid == child.pid
        assert str(holder) == f"{holder.name} (pid {child.pid})"
        child.communicate()
    assert processes_locking([device]) == []


def test_what_we_lock_ourselves_is_no_other(tmp_path: Path) -> None:
    device = tmp_path / "media0"
    with device.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert processes_locking([device]) == []


def test_a_process_that_has_ended_has_no_name(tmp_path: Path) -> None:
    assert named(4711, tmp_path) == Process(4711, "?")
    assert processes_locking([tmp_path], tmp_path) == []
