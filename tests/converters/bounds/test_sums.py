from __future__ import annotations

import numpy as np
import pytest

from converters.bounds import sums
from converters.bounds.interval import UNKNOWN, Bounds
from converters.bounds.sums import of_sums, windows
from converters.operators import Conv, Gemm, Pads
from tests.converters.models import f32, normal


def conv(kernel: int, pads: Pads, stride: int = 1, dilation: int = 1) -> Conv:
    weight = normal(2, 1, kernel, kernel)
    return Conv(weight, f32([0, 0]), (stride, stride), pads, (dilation, dilation))


@pytest.mark.parametrize(
    ("made", "side", "kinds"),
    [
        (conv(3, (1, 1, 1, 1)), 8, 9),
        (conv(3, (0, 0, 0, 0)), 8, 1),
        (conv(1, (0, 0, 0, 0)), 8, 1),
        (conv(3, (1, 0, 0, 0)), 8, 2),
        (conv(3, (0, 0, 1, 1), stride=2), 8, 4),
        (conv(3, (0, 0, 1, 1), stride=4), 8, 1),  # no window reaches the padding
        (conv(3, (1, 1, 1, 1)), 1, 1),  # every window meets it
        (conv(3, (2, 2, 2, 2), dilation=2), 8, 9),
        (conv(1, (1, 1, 1, 1)), 4, 4),  # some windows are nothing but padding
    ],
)
def test_the_different_windows(made: Conv, side: int, kinds: int) -> None:
    found = windows(made, (1, 1, side, side))
    assert found.shape == (kinds, made.weight[0, 0].size)
    # The oracle: a plane of ones convolved with each tap alone.
    seen = set()
    padded = np.pad(
        np.ones((side, side)), [(made.pads[0], made.pads[2]), (made.pads[1], made.pads[3])]
    )
    _, _, height, width = made.output_shape((1, 1, side, side))
    for y in range(height):
        for x in range(width):
            reach = range(0, made.kernel[0] * made.dilations[0], made.dilations[0])
            rows = [y * made.strides[0] + tap for tap in reach]
            columns = [x * made.strides[1] + tap for tap in reach]
            seen.add(tuple(padded[np.ix_(rows, columns)].ravel().astype(bool).tolist()))
    assert {tuple(row) for row in found.tolist()} == seen


def test_ends_without_limit() -> None:
    weight = f32([[1, 0], [-1, 0], [0, 2], [0, 0], [1, -1]])
    gemm = Gemm(weight, f32([1, 1, 1, 7, 0]))
    x = Bounds(np.array([0.0, -np.inf]), np.array([np.inf, np.inf]))
    found = of_sums(gemm, x, (1, 2))
    np.testing.assert_array_equal(found.low, [1, -np.inf, -np.inf, 7, -np.inf])
    np.testing.assert_array_equal(found.high, [np.inf, 1, np.inf, 7, np.inf])
    assert of_sums(gemm, UNKNOWN, (1, 2)).is_constant.tolist() == [False] * 3 + [True, False]


def test_bounds_of_sums_are_wider_by_what_float32_may_be_off() -> None:
    gemm = Gemm(np.ones((1, 1000), np.float32), f32([0]))
    found = of_sums(gemm, Bounds(np.zeros(1000), np.ones(1000)), (1, 1000))
    assert 1000 < found.high[0] < 1000.2
    assert -0.2 < found.low[0] < 0
    fixed = of_sums(gemm, Bounds(np.ones(1000), np.ones(1000)), (1, 1000))
    assert (fixed.low[0], fixed.high[0]) == (1000, 1000)


@pytest.mark.parametrize("groups", [1, 6])
def test_in_blocks_as_at_once(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Conv(normal(6, 6 // groups, 3, 3), normal(6), pads=(1, 1, 1, 1), groups=groups)
    x = Bounds(-np.arange(6.0), np.arange(6.0) + 1)
    whole = of_sums(made, x, (1, 6, 5, 5))
    monkeypatch.setattr(sums, "BLOCK", 100)
    parts = of_sums(made, x, (1, 6, 5, 5))
    np.testing.assert_allclose(parts.low, whole.low, rtol=1e-12)
    np.testing.assert_allclose(parts.high, whole.high, rtol=1e-12)
