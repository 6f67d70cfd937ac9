"""Pieces over processes of this machine, each of which opens the task once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from calibration.spread.opened import Opened
from calibration.spread.task import Piece, Result, SpreadError, Task, in_order

MAX_JOBS = 256
# Pieces for each process: one that it works on, one that it need not wait for.
PIECES_EACH = 2


@dataclass(frozen=True, slots=True)
class Processes:
    """Has `jobs` processes do the work. They end with it, and with this process, however it ends.

    Raises: SpreadError: `jobs` is not in 1 to 256.
    """

    jobs: int

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MAX_JOBS:
            raise SpreadError(f"--jobs {self.jobs}; allowed: 1 to {MAX_JOBS} processes")

    def map(self, task: Task[Piece, Result], pieces: Iterable[Piece]) -> Iterator[Result]:
        """As `Spread.map`. Raises: SpreadError: a process died."""
        # A forked process would inherit the runtimes' locks, but not their threads.
        context = multiprocessing.get_context("spawn")
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(self.jobs, context, initializer=_begin, initargs=(task,))

        def submit(piece: Piece) -> Future[Result]:
            with _interrupts_held():
                return pool.submit(_run, piece)

        is_done = False
        try:
            yield from in_order(submit, _result, pieces, lambda: PIECES_EACH * self.jobs)
            is_done = True
        except BrokenProcessPool as cause:
            raise SpreadError(
                f"one of {self.jobs} processes died, as when memory runs out; take fewer --jobs"
            ) from cause
        finally:
            if not is_done:
                # What they are at is of no use to anybody.
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
            pool.shutdown(cancel_futures=True)


def _result(future: Future[Result]) -> Result:
    return future.result()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep an interrupt until later, and from processes that are started now for good.

    A terminal sends it to all of them, those included that cannot yet leave it to the parent.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# Of a process of the pool: the one task that it has.
_opened: list[Opened] = []


def _begin(task: Task[Any, Any]) -> None:
    """Take the task, and end when the parent does."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _opened.append(Opened(task))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(piece: Any) -> Any:  # noqa: ANN401 (of whatever task it is)
    return _opened[0].run(piece)
