from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from calibration.errors import CalibrationError
from calibration.spread import SpreadError, cluster, environment
from calibration.spread.cluster import Cluster
from edge.errors import MissingExtraError
from tests.calibration.spread.clusters import local_cluster
from tests.calibration.spread.tasks import Counting, Deadly, OddError, Square, Waiting

COUNT = 30
SQUARES = [number * number for number in range(COUNT)]


def test_results_come_in_order_from_every_worker(scheduler: str) -> None:
    found = list(Cluster(scheduler).map(Square(slow_s=0.05), range(COUNT)))
    assert [square for square, _ in found] == SQUARES
    workers = {process for _, process in found}
    assert os.getpid() not in workers
    assert len(workers) == 3


def test_a_worker_does_not_open_the_task_for_each_piece(scheduler: str, tmp_path: Path) -> None:
    list(Cluster(scheduler).map(Counting(slow_s=0.02, folder=tmp_path), range(COUNT)))
    # Once each, and again where the scheduler took the task for a copy too many.
    assert 3 <= len(list(tmp_path.iterdir())) <= 6


def test_a_worker_that_is_killed_is_made_up_for(scheduler: str, tmp_path: Path) -> None:
    mark = tmp_path / "killed"
    task = Deadly(slow_s=0.05, number=10, mark=mark)
    found = list(Cluster(scheduler).map(task, range(COUNT)))
    assert mark.exists()
    assert [square for square, _ in found] == SQUARES


def test_a_piece_that_kills_every_worker_is_one_sentence(scheduler: str) -> None:
    with pytest.raises(SpreadError, match=r"several workers died on the same images"):
        list(Cluster(scheduler).map(Deadly(number=3), range(8)))


def test_an_error_of_a_piece_is_said_as_here(scheduler: str) -> None:
    with pytest.raises(CalibrationError, match=f"^{OddError(7, 'a test')}$"):
        list(Cluster(scheduler).map(Square(odd=7), range(COUNT)))


def test_a_file_that_is_not_there_is_said(scheduler: str, tmp_path: Path) -> None:
    here = tmp_path / "picture.png"
    here.write_bytes(b"1234")
    assert len(list(Cluster(scheduler).map(Square(needed=here), range(3)))) == 3
    # To the worker it has another size than to us, as where another disk is mounted there.
    with (
        mock.patch.object(cluster, "_sizes", return_value={str(here): 5}),
        pytest.raises(SpreadError) as found,
    ):
        list(Cluster(scheduler).map(Square(needed=here), range(3)))
    assert f"{socket.gethostname()}: {here} is missing there" in str(found.value)
    # One that nobody has is no fault of a worker's.
    here.unlink()
    assert len(list(Cluster(scheduler).map(Square(needed=here), range(3)))) == 3


@pytest.fixture
def another_version() -> Iterator[None]:
    """Let this process have runtimes that no worker has."""
    environment.environment.cache_clear()
    with mock.patch.object(environment, "_version", return_value="0.1"):
        yield
    environment.environment.cache_clear()


@pytest.mark.usefixtures("another_version")
def test_workers_of_another_version_are_named(scheduler: str) -> None:
    with pytest.raises(SpreadError) as found:
        list(Cluster(scheduler).map(Square(), range(3)))
    said = str(found.value)
    assert said.startswith("results would not be the same as here: tcp://127.0.0.1:")
    assert said.endswith(". Install the same versions there")
    assert said.count("onnxruntime") == said.count("ai-edge-litert") > 0


@pytest.mark.usefixtures("another_version")
def test_a_worker_that_comes_later_is_looked_at_before_it_works(scheduler: str) -> None:
    with (
        mock.patch.object(cluster, "_check_workers"),
        pytest.raises(SpreadError, match=rf"here: {socket.gethostname()}: .*, not 0\.1"),
    ):
        list(Cluster(scheduler).map(Square(), range(3)))


def test_no_scheduler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SpreadError) as found:
            list(Cluster(address).map(Square(), range(3)))
    assert str(found.value).startswith(f"{address}: no Dask scheduler answers there within 1 s; ")


def test_no_worker_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WORKERS_S", 1)
    with (
        local_cluster(0) as nobody,
        pytest.raises(SpreadError, match=r"no worker for 1 s; start 'dask worker tcp:"),
    ):
        list(Cluster(nobody.scheduler_address).map(Square(), range(3)))


def test_a_scheduler_that_goes_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 3)
    with local_cluster(1) as workers:
        address = workers.scheduler_address
        results = Cluster(address).map(Square(slow_s=0.2), range(1000))
        next(results)
    with pytest.raises(SpreadError, match=f"^{address}: the Dask scheduler has gone; start it"):
        list(results)


def test_workers_that_all_go_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WORKERS_S", 2)
    monkeypatch.setattr(cluster, "POLL_S", 1)
    with local_cluster(1) as workers:
        results = Cluster(workers.scheduler_address).map(Square(slow_s=0.2), range(1000))
        next(results)
        workers.scale(0)
        with pytest.raises(SpreadError, match=r"no worker for 2 s; start"):
            list(results)


def test_who_stops_early_leaves_the_workers_free(scheduler: str) -> None:
    distributed = pytest.importorskip("distributed")
    results = Cluster(scheduler).map(Waiting(), [0, *[6] * 1000])
    next(results)
    with distributed.Client(scheduler, set_as_default=False) as client:
        assert any(client.processing().values())
        results.close()  # type: ignore[attr-defined]
        end_s = time.monotonic() + 3  # before a single one has ended
        while any(client.processing().values()) and time.monotonic() < end_s:
            time.sleep(0.05)
        assert not any(client.processing().values())


def test_without_dask_the_extra_is_named() -> None:
    with (
        mock.patch.dict("sys.modules", {"distributed": None}),
        pytest.raises(MissingExtraError, match=r"distributed is not installed; .*\[distributed\]"),
    ):
        list(Cluster("tcp://127.0.0.1:8786").map(Square(), range(3)))


@pytest.mark.parametrize(
    "address", ["", "10.0.0.1:8786", "tcp://10.0.0.1", "http://host:1", "tcp://a b:1", "tcp://h:x"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(SpreadError, match=r"allowed: tcp://HOST:PORT or tls://HOST:PORT"):
        Cluster(address)


def test_addresses() -> None:
    for address in ("tcp://10.0.0.1:8786", "tls://node-1.lab:1", "tcp://[::1]:8786"):
        assert Cluster(address).address == address
