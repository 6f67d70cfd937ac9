"""Pieces over the machines of a Dask cluster, which somebody else has started.

The scheduler is only given names of Python's own library and bytes, so that it needs nothing of
this project; the workers need the same version of it, and the same files under the same paths.
"""

from __future__ import annotations

import operator
import pickle
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.spread.environment import differences, environment
from calibration.spread.opened import Opened
from calibration.spread.task import Piece, Result, SpreadError, Task, in_order
from edge.errors import MissingExtraError

ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):\d{1,5}")
EXTRA = "distributed"
CONNECT_S = 10
# How long there may be no worker at all: as long as one takes to start again.
WORKERS_S = 60
POLL_S = 2
# Pieces for each thread of a worker: one that it works on, one that it need not wait for.
PIECES_EACH = 2
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """Has the workers of the Dask scheduler at `address` do the work.

    A piece whose worker dies is given to another one.
    Raises: SpreadError: `address` is none.
    """

    address: str

    def __post_init__(self) -> None:
        if not ADDRESS.fullmatch(self.address):
            raise SpreadError(
                f"--scheduler {self.address}; allowed: tcp://HOST:PORT or tls://HOST:PORT, as "
                "'dask scheduler' prints it"
            )

    def map(self, task: Task[Piece, Result], pieces: Iterable[Piece]) -> Iterator[Result]:
        """As `Spread.map`.

        Raises: MissingExtraError: Dask is not installed; SpreadError: the scheduler or its workers
            cannot be reached or die, or a worker has other versions or other files.
        """
        with _connected(self.address) as client:
            _check_workers(client, self.address)
            # Made by a task, so that what dies with a worker is made again elsewhere.
            remote = client.submit(pickle.loads, pickle.dumps(_Remote(task)), pure=False)

            def submit(piece: Piece) -> Any:  # noqa: ANN401 (distributed.Future)
                order = pickle.dumps((piece, _sizes(task.files(piece))))
                return client.submit(operator.call, remote, order, pure=False)

            def result(future: Any) -> Result:  # noqa: ANN401
                made: Result = pickle.loads(_wait(client, self.address, future))  # noqa: S301
                return made

            yield from in_order(
                submit, result, pieces, lambda: PIECES_EACH * _threads(client, self.address)
            )


class _Remote:
    """A task on one worker. It travels as the task alone: every worker opens its own."""

    def __init__(self, task: Task[Any, Any], wanted: Mapping[str, str] | None = None) -> None:
        self._task = task
        self._wanted = wanted or environment()
        self._opened = Opened(task)

    def __reduce__(self) -> tuple[type[_Remote], tuple[Task[Any, Any], Mapping[str, str]]]:
        return _Remote, (self._task, self._wanted)

    def __call__(self, order: bytes) -> bytes:
        """Return the pickled result of a pickled piece. Raises: CalibrationError; OSError."""
        # Workers may come and go long after the first ones were looked at.
        found = differences(self._wanted, environment())
        if found:
            raise SpreadError(_unlike([f"{socket.gethostname()}: {', '.join(found)}"]))
        piece, sizes = pickle.loads(order)  # noqa: S301 (a worker runs what its client sends)
        here = _sizes([Path(path) for path in sizes])
        wrong = [path for path in sizes if sizes[path] != here[path]]
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise SpreadError(
                f"{socket.gethostname()}: {wrong[0]}{more} is missing there, or is another file "
                "than here; workers need the same files under the same paths"
            )
        return pickle.dumps(self._opened.run(piece))


def _sizes(files: Sequence[Path]) -> dict[str, int]:
    """Return each file's size in bytes, -1 where it is gone."""
    sizes = {}
    for path in files:
        try:
            sizes[str(path)] = path.stat().st_size
        except OSError:
            sizes[str(path)] = -1
    return sizes


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Yield a distributed.Client, which opens no port. Raises: SpreadError; MissingExtraError."""
    try:
        import dask
        import distributed
    except ModuleNotFoundError as cause:
        raise MissingExtraError(cause.name or "distributed", EXTRA) from cause
    # The task holds a network's weights: that it is large is no mistake.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        connect: Any = distributed.Client  # it says of itself that it is typed
        try:
            client = connect(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as cause:
            raise SpreadError(
                f"{address}: no Dask scheduler answers there within {CONNECT_S} s; start "
                "'dask scheduler', and give the address that it prints"
            ) from cause
        with client:
            yield client


def _check_workers(client: Any, address: str) -> None:  # noqa: ANN401
    """See that there are workers, and that they are like us. Raises: SpreadError."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as cause:
        raise SpreadError(_no_worker(address)) from cause
    faults = []
    for worker, theirs in client.run(environment, on_error="return").items():
        if isinstance(theirs, BaseException):
            faults.append(f"{worker}: it has no edge-deploy of this version ({theirs})")
        elif found := differences(environment(), theirs):
            faults.append(f"{worker}: {', '.join(found)}")
    if faults:
        raise SpreadError(_unlike(faults))


def _wait(client: Any, address: str, future: Any) -> bytes:  # noqa: ANN401
    """Return a future's result. Raises: SpreadError: none can come; whatever the task raised."""
    from distributed import KilledWorker

    without_s = 0
    while True:
        try:
            made: bytes = future.result(timeout=POLL_S)
        except KilledWorker as cause:
            raise SpreadError(
                f"{address}: several workers died on the same images, as when memory runs out; "
                "start them with more, or with fewer threads"
            ) from cause
        except ModuleNotFoundError as cause:
            raise SpreadError(_unlike([f"a worker: {cause}"])) from cause
        except (CancelledError, OSError) as cause:
            if future.status == "error":
                raise  # the task's own
            if not isinstance(cause, TimeoutError):
                raise _gone(address) from cause
        else:
            return made
        without_s = 0 if _threads(client, address) else without_s + POLL_S
        if without_s >= WORKERS_S:
            raise SpreadError(_no_worker(address))


def _threads(client: Any, address: str) -> int:  # noqa: ANN401
    """Return how many threads all workers have. Raises: SpreadError: the scheduler has gone."""
    try:
        return sum(client.nthreads().values())
    except (CancelledError, OSError) as cause:
        raise _gone(address) from cause


def _gone(address: str) -> SpreadError:
    return SpreadError(f"{address}: the Dask scheduler has gone; start it, and this, again")


def _no_worker(address: str) -> str:
    return (
        f"{address}: the Dask scheduler has had no worker for {WORKERS_S} s; start "
        f"'dask worker {address}' where edge-deploy[{EXTRA}] is installed"
    )


def _unlike(faults: Sequence[str]) -> str:
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return (
        f"results would not be the same as here: {'; '.join(faults[:SHOWN])}{more}. Install the "
        "same versions there"
    )
