"""One machine of the lab, and how programs are run on it."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pi_lab.machine import Machine, enter

# A run takes seconds, emulated a minute; what takes longer hangs.
LIMIT_S = {False: 120, True: 600}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program did: its exit status, and the lines that it wrote."""

    status: int
    out: str
    err: str

    @property
    def trouble(self) -> str:
        """The exit status, and what was said last."""
        return f"exit status {self.status}: {' | '.join(self.err.strip().splitlines()[-4:])}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its output, one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Checks:
    """What was looked at, and what was wrong: `faults`."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def check(self, title: str, faults: Sequence[str]) -> None:
        """Say what a check found."""
        print(f"  {'FAILED' if faults else 'ok    '} {title}", flush=True)
        for fault in faults:
            print(f"         {fault}", flush=True)
        self.faults += [f"{title}: {fault}" for fault in faults]


class Lab(Checks):
    """One machine, and the folder that it shares with this process (there: /lab)."""

    def __init__(self, machine: Machine, root: Path, folder: Path) -> None:
        super().__init__()
        self.machine = machine
        self.root = root
        self.folder = folder

    def run(
        self,
        module: str,
        *arguments: str,
        fps: float = 30.0,
        during: Callable[[], None] | None = None,
    ) -> Ended:
        """Run a module of `inside/`; its camera gives `fps`. `during` runs beside it."""
        command = ["-m", f"tests.pi_lab.inside.{module}", *arguments]
        line = enter(self.machine, self.root, self.folder, command, {"PI_LAB_FPS": str(fps)})
        limit_s = LIMIT_S[self.machine.is_emulated]
        if during is not None:
            threading.Thread(target=during, daemon=True).start()
        # On a time-out, as on anything that is raised here, the machine is ended at once.
        try:
            done = subprocess.run(
                line, capture_output=True, text=True, timeout=limit_s, check=False
            )
        except subprocess.TimeoutExpired as late:
            err = (late.stderr or b"").decode(errors="replace")
            return Ended(124, "", f"{err}\nended after {limit_s} s")
        return Ended(done.returncode, done.stdout, done.stderr)
