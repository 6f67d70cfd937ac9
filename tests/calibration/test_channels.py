import numpy as np
import pytest

from calibration.channels import ChannelEnds, observe_channels
from calibration.histogram import ObserverError
from edge.tensors import F32


def vector(*values: float) -> F32:
    return np.asarray([values], np.float32)


def test_the_ends_and_the_mean_of_each_channel() -> None:
    batches = [
        np.random.default_rng(seed).normal(3, 2, (1, 4, 5, 6)).astype(np.float32)
        for seed in range(3)
    ]
    found = observe_channels(["v"], ({"v": x, "other": x} for x in batches))
    assert found.keys() == {"v"}
    together = np.concatenate(batches).astype(np.float64).transpose(1, 0, 2, 3).reshape(4, -1)
    np.testing.assert_array_equal(found["v"].low, together.min(axis=1))
    np.testing.assert_array_equal(found["v"].high, together.max(axis=1))
    np.testing.assert_allclose(found["v"].mean, together.mean(axis=1), rtol=1e-12)


def test_the_variance_is_within_batches_and_between_them() -> None:
    random = np.random.default_rng(1)
    means = random.normal(0, 5, (3, 4, 1, 1))
    batches = [random.normal(mean, 2, (1, 4, 5, 6)).astype(np.float32) for mean in means]
    found = observe_channels(["v"], ({"v": x} for x in batches))
    together = np.concatenate(batches).astype(np.float64).transpose(1, 0, 2, 3).reshape(4, -1)
    np.testing.assert_allclose(found["v"].variance, together.var(axis=1), rtol=1e-5)


def test_what_is_not_zero_is_active() -> None:
    x = np.maximum(np.random.default_rng(2).normal(size=(1, 3, 8, 8)), 0).astype(np.float32)
    x[0, 1] = 0
    x[0, 2] = -1
    found = observe_channels(["v"], [{"v": x}, {"v": np.ones_like(x)}])
    share = (x[0, 0] > 0).mean()
    np.testing.assert_allclose(found["v"].active, [(1 + share) / 2, 0.5, 1])


def test_a_batch_counts_as_more_places() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32)
    found = observe_channels(["v"], [{"v": x}])
    np.testing.assert_array_equal(found["v"].low, x.min(axis=(0, 2, 3)))
    np.testing.assert_allclose(found["v"].mean, x.mean(axis=(0, 2, 3)), rtol=1e-6)


def test_a_vector_has_a_value_a_channel() -> None:
    found = observe_channels(["v"], [{"v": vector(1, -2)}, {"v": vector(3, 4)}])
    assert found["v"].low.tolist() == [1, -2]
    assert found["v"].high.tolist() == [3, 4]
    assert found["v"].mean.tolist() == [2, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad: float) -> None:
    with pytest.raises(ObserverError, match="'v' holds NaN or infinite"):
        observe_channels(["v"], [{"v": vector(1, bad)}])


def test_no_picture() -> None:
    with pytest.raises(ObserverError, match="never observed"):
        observe_channels(["v"], [])


def test_ends_are_exact_however_the_values_are_split() -> None:
    values = np.random.default_rng(3).normal(2, 1, (5, 4, 3, 2)).astype(np.float32)
    values[0, 1, 2, 1], values[4, 3, 0, 0] = -50, 70
    whole, parts = ChannelEnds(), ChannelEnds()
    whole.update(values)
    for part in (values[:2], values[2:]):
        ends = ChannelEnds()
        ends.update(part)
        parts = parts.merge(ends)
    for ends in (whole, parts, ChannelEnds().merge(whole), whole.merge(ChannelEnds())):
        np.testing.assert_array_equal(ends.low, values.min(axis=(0, 2, 3)))
        np.testing.assert_array_equal(ends.high, values.max(axis=(0, 2, 3)))
        assert ends.positions == 5 * 3 * 2
    assert ends.low[1] == -50  # not zero, which the empty one began with
    assert (ends.low[[0, 2]] != 0).all()
