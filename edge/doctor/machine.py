"""The machine as the checks see it: files below a root, programs with a time-out, and this Python.

Nothing of it changes anything, and a test puts a folder and canned answers in its place.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from edge.doctor.interpreter import Python

MAX_BYTES = 1 << 18  # of a file; those of /proc and /sys have some kB
# A child that imports a runtime needs some seconds on a Zero 2 with a slow card.
CHILD_S = 60.0
TOOL_S = 3.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a program said. `status` is None where it did not end in time or could not be run."""

    status: int | None
    out: str = ""
    err: str = ""

    @property
    def last_line(self) -> str:
        """The last line of stderr, where Python names what went wrong, or how it ended."""
        lines = self.err.strip().splitlines()
        if lines:
            return lines[-1].strip()[:300]
        return "it did not answer in time" if self.status is None else f"exit status {self.status}"


Runner = Callable[[Sequence[str], float], Said]


def run(command: Sequence[str], timeout_s: float) -> Said:
    """Run a program without a terminal or input; never raises."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return Said(None)
    return Said(done.returncode, done.stdout[:MAX_BYTES], done.stderr[-MAX_BYTES:])


def _may_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


@dataclass(frozen=True)
class Machine:
    """A machine. `log_dir` is where the latency log will lie, `models` what the user will run."""

    root: Path = Path("/")
    run: Runner = run
    python: Python = field(default_factory=Python)
    kernel: str = field(default_factory=platform.machine)
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    log_dir: Path = field(default_factory=Path.cwd)
    models: tuple[str, ...] = ()
    may_open: Callable[[Path], bool] = _may_open
    free_bytes: Callable[[Path], int] = _free_bytes

    def data(self, name: str) -> bytes:
        """Return the beginning of a file below the root, nothing where it cannot be read."""
        try:
            with (self.root / name).open("rb") as file:
                return file.read(MAX_BYTES)
        except OSError:
            return b""

    def text(self, name: str) -> str:
        """Return a file's text without the NUL that device trees end in, "" without the file."""
        return self.data(name).decode(errors="replace").strip().strip("\0")

    def paths(self, *patterns: str) -> list[Path]:
        """Return what there is below the root, in order."""
        found: list[Path] = []
        for pattern in patterns:
            with suppress(OSError):
                found += sorted(self.root.glob(pattern))
        return found

    def table(self, name: str) -> dict[str, str]:
        """Return a file of "name: value" lines, such as /proc/meminfo."""
        lines = (line.partition(":") for line in self.text(name).splitlines())
        return {key.strip(): value.strip() for key, _, value in lines}

    def mib(self, name: str) -> float | None:
        """Return a figure of /proc/meminfo, which counts in kB of 1024, in MiB."""
        words = self.table("proc/meminfo").get(name, "").split()
        return int(words[0]) / 1024 if words and words[0].isdecimal() else None

    def said(self, *command: str) -> str:
        """Return what a system's tool says, "" where it is missing, fails or takes too long."""
        answer = self.run(command, TOOL_S)
        return answer.out.strip() if answer.status == 0 else ""

    def child(self, module: str, *args: str) -> Said:
        """Run `main(args)` of a module of ours in a Python of its own.

        What it imports may crash, hang, or chatter on stderr.
        """
        # The working directory is not on its path (-P), where any file could pass for a module;
        # the folder that we come from is.
        code = (
            "import sys, importlib; ours = sys.argv[1]; "
            "ours in sys.path or sys.path.insert(0, ours); "
            "importlib.import_module(sys.argv[2]).main(sys.argv[3:])"
        )
        ours = str(Path(__file__).parents[2])
        command = [self.python.executable, "-P", "-c", code, ours, module, *args]
        return self.run(command, CHILD_S * max(1, len(args)))

    @cached_property
    def model(self) -> str:
        """The board's name, as "Raspberry Pi 4 Model B Rev 1.5", or ""."""
        return self.text("proc/device-tree/model")

    @property
    def is_pi(self) -> bool:
        return self.model.startswith("Raspberry Pi")

    @cached_property
    def cameras(self) -> Said:
        """What `edge.doctor.child_cameras` says: the cameras that libcamera sees, as JSON."""
        return self.child("edge.doctor.child_cameras")

    @cached_property
    def timings(self) -> Said:
        """What `edge.doctor.child_timing` says of `models`: in turns, so that they compare."""
        return self.child("edge.doctor.child_timing", *self.models)

    @property
    def boot(self) -> str:
        """Where the firmware's files lie: since Bookworm in /boot/firmware."""
        is_new = (self.root / "boot/firmware/config.txt").exists()
        return "boot/firmware" if is_new else "boot"
