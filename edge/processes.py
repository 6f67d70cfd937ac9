"""The other processes of the machine, and what they hold open."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """Another process, and the name that it goes by."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def processes_using(devices: Collection[Path], proc: Path = PROC) -> list[Process]:
    """Return each other process that has one of `devices` open, where we may look: by number."""
    # From /dev/v4l/by-id/... to what the processes have open.
    wanted = {device.resolve() for device in devices}
    users = []
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        # What ended meanwhile, or belongs to another user, cannot be read.
        with suppress(OSError):
            if process.name != str(os.getpid()) and _has_open(process, wanted):
                users.append(named(int(process.name), proc))
    return users


def processes_locking(devices: Collection[Path], proc: Path = PROC) -> list[Process]:
    """Return each other process that has locked one of `devices`, of whatever user.

    libcamera locks the media device of a camera that it has acquired; who only has it open does
    not keep others from the camera. A line of /proc/locks ends in "PID MAJOR:MINOR:INODE START
    END", the file system's numbers hexadecimal; a lock that is waited for has "->" in front
    (proc_locks(5)).
    """
    places = set()
    for device in devices:
        with suppress(OSError):
            facts = device.stat()
            major, minor = os.major(facts.st_dev), os.minor(facts.st_dev)
            places.add(f"{major:02x}:{minor:02x}:{facts.st_ino}")
    pids = set()
    with suppress(OSError):
        for line in (proc / "locks").read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) >= 8 and "->" not in words and words[-3] in places:
                with suppress(ValueError):
                    pids.add(int(words[-4]))
    return [named(pid, proc) for pid in sorted(pids - {os.getpid()})]


def named(pid: int, proc: Path = PROC) -> Process:
    """Return a process with its name, "?" where it has ended."""
    try:
        return Process(pid, (proc / str(pid) / "comm").read_text(errors="replace").strip())
    except OSError:
        return Process(pid, "?")


def _has_open(process: Path, wanted: Collection[Path]) -> bool:
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):
            if descriptor.readlink() in wanted:
                return True
    return False


def this_python() -> list[str]:
    """Return the command of this Python as it was started: nothing is imported from where we are.

    Isolated from the user's packages, or writing no bytecode, if this one is.
    """
    flags = ["-I"] if sys.flags.isolated else ["-P"]
    return [sys.executable, *flags, *(["-B"] if sys.flags.dont_write_bytecode else [])]
