"""The loop as a process of its own, and what is done to it and to the machine while it runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE, OUT = Path("/tmp/in"), Path("/tmp/out")
SCRIPT = HERE / "device_scripts/live_classify.py"
INTERVAL_S = 1.0
# Emulated, Python alone takes seconds to begin.
LIMIT_S = 120.0


class Loop:
    """One run of the loop on the camera. All that is known of it lies in OUT afterwards.

    NAME.out, NAME.err: what it wrote; NAME.jsonl: its log; NAME.json: exit status and deeds.
    """

    def __init__(self, name: str, *arguments: str, kind: str = "tflite") -> None:
        self._name = name
        self._deeds: list[dict[str, Any]] = []
        self.log = OUT / f"{name}.jsonl"
        command = [
            *(sys.executable, str(SCRIPT), "--model", str(HERE / f"digits.int8.{kind}")),
            *("--source", "v4l2:0", "--threads", "1", "--json", "--trace"),
            *("--interval", str(INTERVAL_S), "--log", str(self.log), *arguments),
        ]
        with (OUT / f"{name}.out").open("wb") as out, (OUT / f"{name}.err").open("wb") as err:
            self.process = subprocess.Popen(command, cwd=HERE, stdout=out, stderr=err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for its end, or end it after an error."""
        if error is not None:
            self.process.kill()
        try:
            status = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        facts = {"status": status, "deeds": self._deeds}
        (OUT / f"{self._name}.json").write_text(json.dumps(facts))
        print(f"  {self._name}: {status}, {time.monotonic():.0f} s", flush=True)

    def intervals(self, more: int) -> None:
        """Wait until the log has so many more whole intervals; return at once where it ended."""
        self._wait(self.log, b'{"kind":"interval"', more)

    def camera_is_back(self) -> None:
        """Wait until the loop says so once more."""
        self._wait(OUT / f"{self._name}.err", b"frames again", 1)

    @contextmanager
    def deed(self, name: str) -> Iterator[dict[str, Any]]:
        """Note when it was done; then wait until the log must have it.

        The block may add what it knows of it to the dict that it is given.
        """
        self.intervals(1)
        facts: dict[str, Any] = {"name": name, "begin_ns": time.monotonic_ns()}
        yield facts
        facts["end_ns"] = time.monotonic_ns()
        self._deeds.append(facts)
        self.intervals(3)

    def stop_for(self, seconds: float) -> None:
        """Stop the process for a while."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Tell it to end by itself."""
        self.process.terminate()

    def _wait(self, path: Path, mark: bytes, more: int) -> None:
        def found() -> int:
            return path.read_bytes().count(mark) if path.exists() else 0

        enough = found() + more
        until_s = time.monotonic() + LIMIT_S
        while found() < enough and self.process.poll() is None:
            if time.monotonic() > until_s:
                raise TimeoutError(f"{path.name}: no {more} {mark!r} more within {LIMIT_S} s")
            time.sleep(0.05)
