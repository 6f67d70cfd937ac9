from __future__ import annotations

import numpy as np
import pytest

from converters.mobilenet_v2.explore.moments import (
    RANK_THRESHOLD,
    Moments,
    positions_of,
    spectrum_of,
)
from tests.converters.models import normal


def test_sums_over_parts_give_the_ranks_of_the_whole_matrix() -> None:
    """Against NumPy's singular values of all rows at once."""
    wide = normal(500, 3, seed=1) @ normal(3, 12, seed=2) + normal(500, 12, seed=3, spread=0.05)
    rows = wide.astype(np.float32)
    moments = Moments(12)
    for part in np.array_split(rows, 7):
        moments.add(part)
    singular = np.linalg.svd(rows.astype(np.float64), compute_uv=False)
    shares = singular / singular.sum()
    found = moments.spectrum()
    assert found.rank == np.count_nonzero(singular > RANK_THRESHOLD * singular[0]) == 12
    assert found.effective_rank == pytest.approx(np.exp(-np.sum(shares * np.log(shares))))
    assert 3 < found.effective_rank < 12
    assert moments.positions == 500
    np.testing.assert_array_equal(moments.low, rows.min(axis=0))
    np.testing.assert_array_equal(moments.high, rows.max(axis=0))


@pytest.mark.parametrize(
    ("singular", "rank", "effective"),
    [
        ([2.0, 2.0, 2.0, 2.0], 4, 4.0),
        ([5.0, 0.0, 0.0], 1, 1.0),
        ([0.0, 0.0], 0, 0.0),
        ([1.0, 0.0101], 2, None),
        ([1.0, 0.0099], 1, None),
        # exp(-(3/4 ln 3/4 + 1/4 ln 1/4)) = 4 / 3^(3/4)
        ([3.0, 1.0], 2, 4 / 3**0.75),
    ],
)
def test_ranks_of_known_singular_values(
    singular: list[float], rank: int, effective: float | None
) -> None:
    found = spectrum_of(np.array(singular))
    assert found.rank == rank
    if effective is not None:
        assert found.effective_rank == pytest.approx(effective)


def test_positions_are_rows() -> None:
    value = normal(1, 3, 2, 4)
    rows = positions_of(value)
    assert rows.shape == (8, 3)
    np.testing.assert_array_equal(rows[5], value[0, :, 1, 1])
    assert positions_of(normal(1, 7)).shape == (1, 7)
    assert positions_of(normal(1, 6, 7)).shape == (6, 7)
