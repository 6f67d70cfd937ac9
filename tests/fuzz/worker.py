"""A process that tries cases, and may die of one: it is bounded, watched, and started again."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import re
import resource
import tempfile
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fuzz import target
from tests.fuzz.target import Outcome, prepared

CASE_LIMIT_S = 10.0
START_LIMIT_S = 120.0
# What the process may ever have used, the runtimes' own 200 MB included.
MAX_MEMORY_BYTES = 1 << 30
# Address space is taken by far more than what is used of it; this only stops what runs away.
MAX_ADDRESS_BYTES = 8 << 30
FINDING = "FINDING"
LOG = "stderr.txt"


class Worker:
    """Runs cases one after another in a process of its own, by default in `serve`."""

    def __init__(self, server: Callable[[Connection, str], None] | None = None) -> None:
        self._server = server or serve
        self._folder = tempfile.TemporaryDirectory(prefix="edge-fuzz-")
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def try_case(self, data: bytes) -> Outcome:
        """Return how a case ended; one that is a finding has the kind `FINDING`."""
        pipe = self._started()
        try:
            pipe.send_bytes(data)
            if not pipe.poll(CASE_LIMIT_S):
                return self._ended(f"no end after {CASE_LIMIT_S:g} s")
            kind, words, used_bytes = pipe.recv()
        except (EOFError, OSError):
            return self._ended("the process died")
        if used_bytes > MAX_MEMORY_BYTES:
            return self._ended(f"{used_bytes >> 20} MiB were used ({kind}: {words})")
        return Outcome(kind, words)

    def _started(self) -> Connection:
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=self._server, args=(theirs, self._folder.name))
            self._process.start()
            theirs.close()
            if not self._pipe.poll(START_LIMIT_S):
                raise TimeoutError("the worker does not start")
            self._pipe.recv()
        return self._pipe

    def _ended(self, words: str) -> Outcome:
        """Stop the process, and return why with what it said last."""
        process = self._process
        self._stop()
        log = Path(self._folder.name, LOG).read_text(errors="replace")[-2000:]
        code = None if process is None else process.exitcode
        return Outcome(FINDING, f"{words} (exit {code})\n{log}")

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.join(0.5)
            self._process.kill()
            self._process.join()
            self._process = None


def serve(pipe: Connection, folder: str) -> None:
    """Answer each file that comes by the pipe with how it ended and the memory used until then."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    log = os.open(Path(folder, LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)  # the runtimes write to both
    faulthandler.enable(log)
    pipe.send("ready")
    warnings.simplefilter("error", RuntimeWarning)  # a user would see it on stderr
    with prepared(Path(folder)) as path:
        while True:
            try:
                data = pipe.recv_bytes()
            except EOFError:
                return
            os.truncate(log, 0)
            pipe.send((*_tried(data, path), _peak_bytes()))


def _tried(data: bytes, path: Path) -> tuple[str, str]:
    try:
        outcome = target.run(data, path)
    except BaseException:  # noqa: BLE001 (whatever it is, it is what we are looking for)
        return FINDING, traceback.format_exc()[-4000:]
    return outcome.kind, outcome.words


def _peak_bytes() -> int:
    """Return the most memory that this process has used (what getrusage says is its parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]
