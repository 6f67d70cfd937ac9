from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.quantize.second_order import round_weights, second_moments, shrunk, shrunk_mean

F64 = NDArray[np.float64]


def inputs(groups: int, count: int, size: int, seed: int = 0) -> NDArray[np.float32]:
    """Return inputs that rise and fall together: a third as many causes, and a little of their own.

    `seed` is of the causes' values; what they move is always the same.
    """
    fixed, random = np.random.default_rng(99), np.random.default_rng(seed)
    moved = fixed.normal(size=(groups, size // 3, size))
    together = random.normal(size=(groups, count, size // 3)) @ moved
    own = 0.1 * random.normal(size=(groups, count, size))
    return (together + own + fixed.normal(size=(groups, 1, size))).astype(np.float32)


def lost(weight: F64, integers: NDArray[Any], scale: F64, x: NDArray[np.float32]) -> float:
    """Return the squared error of all sums over the inputs, by the definition."""
    apart = weight - integers * scale[:, :, None]
    centred = x - x.mean(axis=1, keepdims=True)
    return float(np.square(np.einsum("gok,gpk->gop", apart, centred)).sum())


@pytest.mark.parametrize(("groups", "outputs", "size"), [(1, 8, 70), (5, 1, 9), (2, 3, 33)])
def test_sums_lose_less_than_by_rounding_to_nearest(groups: int, outputs: int, size: int) -> None:
    weight = np.random.default_rng(1).normal(size=(groups, outputs, size))
    scale = np.abs(weight).max(axis=2) / 20
    x = inputs(groups, 500, size)
    _, moments = second_moments(x)
    ours = round_weights(weight, scale, shrunk(moments, samples=500))
    nearest = np.rint(weight / scale[:, :, None])
    new = inputs(groups, 500, size, seed=1)
    assert lost(weight, ours, scale, new) < 0.5 * lost(weight, nearest, scale, new)


def test_inputs_apart_from_each_other_are_rounded_to_nearest() -> None:
    weight = np.random.default_rng(1).normal(size=(2, 3, 40))
    scale = np.abs(weight).max(axis=2) / 127
    moments = np.stack([np.diag(np.arange(1.0, 41)), np.eye(40)])
    nearest = np.rint(weight / scale[:, :, None])
    np.testing.assert_array_equal(round_weights(weight, scale, moments), nearest)


def test_two_weights_of_one_input_share_their_errors() -> None:
    # x1 = x2: only the sum of the weights counts, and 0.4 + 0.4 is nearer to 1 + 0 than to 0 + 0.
    almost = np.array([[[1.0, 0.999], [0.999, 1.0]]])
    integers = round_weights(np.array([[[0.4, 0.4]]]), np.ones((1, 1)), almost)
    assert integers.sum() == 1


def test_integers_stay_within_127() -> None:
    weight = np.full((1, 1, 64), 126.6)
    random = np.random.default_rng(0).normal(size=(64, 64))
    integers = round_weights(weight, np.ones((1, 1)), (random @ random.T)[None])
    assert integers.max() <= 127
    assert integers.min() >= -127


def test_moments_are_central() -> None:
    x = inputs(2, 300, 5)
    mean, moments = second_moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=1), rtol=1e-5)
    for group in range(2):
        expected = np.cov(x[group], rowvar=False, bias=True)
        np.testing.assert_allclose(moments[group], expected, rtol=1e-4, atol=1e-4)


def test_few_samples_say_little_of_what_goes_together() -> None:
    _, moments = second_moments(inputs(1, 10, 30))
    result = shrunk(moments, samples=10)
    off = ~np.eye(30, dtype=bool)
    np.testing.assert_allclose(result[0][off], moments[0][off] / 4)
    np.testing.assert_array_equal(np.diag(result[0]), np.diag(moments[0]))
    np.linalg.cholesky(result)  # of rank 10 before


@pytest.mark.parametrize("dead", [[0], [0, 1, 2, 3]])
def test_inputs_that_are_always_zero(dead: list[int]) -> None:
    x = inputs(1, 50, 4)
    x[:, :, dead] = 0
    _, moments = second_moments(x)
    result = shrunk(moments, samples=50)
    assert (np.diag(result[0]) > 0).all()
    round_weights(np.ones((1, 2, 4)), np.ones((1, 2)), result)


def test_nothing_is_left_of_a_mean_that_chance_explains() -> None:
    random = np.random.default_rng(5)
    means = np.repeat([0.0, 3.0], 200)
    rows = means + random.normal(size=(16, 400))
    found = shrunk_mean(rows)
    # A standard error is a quarter, so twelve of them lie between 0 and 3.
    assert (found[:200] == 0).mean() > 0.6
    assert np.square(found[:200]).sum() < 0.4 * np.square(rows.mean(axis=0)[:200]).sum()
    np.testing.assert_allclose(found[200:], rows.mean(axis=0)[200:], rtol=0.02)


def test_of_one_row_all_is_left() -> None:
    row = np.array([[0.0, -2.0, 1e-9]])
    np.testing.assert_array_equal(shrunk_mean(row), row[0])
