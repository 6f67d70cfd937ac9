"""A Dask cluster of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.calibration.spread.clusters import local_cluster


@pytest.fixture(scope="package")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with three workers, which start again when they are killed."""
    with local_cluster(3) as cluster:
        yield cluster.scheduler_address
