"""Dask clusters of this machine, of real processes, reached by nobody else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Yield a distributed.LocalCluster with so many workers of one thread each."""
    distributed = pytest.importorskip("distributed", reason="needs the extra distributed")
    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster
