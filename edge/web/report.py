"""The report of the run's log, drawn by a process of its own: one at a time, kept for a minute."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

from edge.errors import EdgeError, MissingExtraError
from edge.latency.log import KEEP
from edge.processes import this_python

KEPT_S = 60.0
# A full log is five files of 16 MiB; on a board at the lowest priority that takes its time.
TIMEOUT_S = 180.0
MAX_BYTES = 32 << 20
_COMMAND = "import sys; from edge.latency.cli import main; sys.exit(main())"


class ReportError(EdgeError):
    """There is no report, or none now."""


class Reports:
    """Makes the report of `log` ("" where there is none)."""

    def __init__(self, log: str) -> None:
        self._log = log
        self._made = b""
        self._made_s = 0.0
        self._lock = asyncio.Lock()

    @property
    def why_not(self) -> str:
        """Why there is no report, "" where there is one."""
        if not self._log:
            return "There is no report: edge-live writes no log (--log)."
        for package in ("matplotlib", "jinja2"):
            if importlib.util.find_spec(package) is None:
                return f"There is no report: {MissingExtraError(package, 'report')}."
        return ""

    async def html(self) -> bytes:
        """Return the page, at most a minute old. Raises: ReportError: it cannot be made."""
        if self.why_not:
            raise ReportError(self.why_not)
        # Who comes while one is made waits for that one.
        async with self._lock:
            if not self._made or time.monotonic() - self._made_s > KEPT_S:
                self._made = await self._draw()
                self._made_s = time.monotonic()
            return self._made

    async def _draw(self) -> bytes:
        path = Path(self._log)
        parts = [path.with_name(f"{path.name}.{number}") for number in range(KEEP, 0, -1)]
        logs = [str(part) for part in (*parts, path) if part.is_file()]
        with tempfile.TemporaryDirectory(prefix="edge-live-") as folder:
            page = Path(folder) / "report.html"
            child = await asyncio.create_subprocess_exec(
                *this_python(),
                *("-c", _COMMAND, "--last", "--html", str(page), "--", *logs),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                _, said = await asyncio.wait_for(child.communicate(), TIMEOUT_S)
            finally:
                if child.returncode is None:
                    child.kill()
            if child.returncode or page.stat().st_size > MAX_BYTES:
                print(said.decode(errors="replace"), end="", file=sys.stderr)
                raise ReportError("The report cannot be drawn; edge-live's errors say why.")
            return page.read_bytes()
