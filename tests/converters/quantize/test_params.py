import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from converters.errors import ConvertError
from converters.quantize.params import SMALLEST_SCALE, QuantParams, from_range, from_table
from edge.tensors import Array
from tests.converters.models import f32

ends = st.floats(-1e30, 1e30, allow_subnormal=False)


@given(ends, ends)
@example(0.0, 0.0)
@example(3.0, 5.0)
@example(-5.0, -3.0)
@example(-1e-30, 1e-30)
@example(-1e30, 1e-30)
@settings(max_examples=300, deadline=None)
def test_from_range(a: float, b: float) -> None:
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    params = from_range(min(a, b), max(a, b))
    (scale,), (zero_point,) = params.scale, params.zero_point
    # Zero is an integer of its own: padding and ReLU cost nothing.
    assert -128 <= zero_point <= 127
    assert params.dequantize(np.asarray([zero_point], np.int8)) == 0
    # Only the zero point is rounded, by half a step; 1e-4 of a step for the float32 scale.
    moved = scale * (0.5 + 1e-4)
    assert params.low - moved <= low
    assert high <= params.high + moved
    if high - low > 255 * SMALLEST_SCALE:
        assert low <= params.low + moved
        assert params.high - moved <= high


@given(
    st.floats(-100, 0),
    st.floats(0.01, 100),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_error_inside_the_range_is_at_most_half_a_step(
    low: float, high: float, fractions: list[float]
) -> None:
    params = from_range(low, high)
    x = np.asarray([low + (high - low) * fraction for fraction in fractions])
    q = np.clip(np.rint(x / params.scale[0]) + params.zero_point[0], -128, 127)
    error = np.abs(params.dequantize(q.astype(np.int8)) - x)
    # Half a step by rounding; the ends moved by as much at most, not further. 1e-3: float32.
    assert error.max() <= params.scale[0] * 0.501


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_real_values_have_the_shape_of_their_integers(shape: tuple[int, ...]) -> None:
    real = from_range(-1.0, 1.0).dequantize(np.ones(shape, np.int8))
    assert np.shape(real) == shape


BYTES = np.arange(256.0)
NORMALIZATIONS: dict[str, NDArray[np.float64]] = {
    "none": BYTES,
    "unit": BYTES / 255,
    "tf": BYTES / 127.5 - 1,
    "imagenet": np.stack([(BYTES / 255 - m) / s for m, s in ((0.485, 0.229), (0.406, 0.225))]),
    "above zero": BYTES / 255 * 0.7 + 0.3,
    "below zero": -BYTES / 255 - 0.2,
}


def squared_error(levels: NDArray[np.float64], scale: float, zero_point: int) -> float:
    q = np.clip(np.rint(levels / scale) + zero_point, -128, 127)
    return float((((q - zero_point) * scale - levels) ** 2).sum())


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_from_table_is_the_best_of_a_dense_grid(name: str) -> None:
    levels = NORMALIZATIONS[name]
    low, high = min(levels.min(), 0.0), max(levels.max(), 0.0)
    best = np.inf
    for widening in np.linspace(0.97, 1.06, 1501):
        scale = float(np.float32((high - low) / 255 * widening))
        around = int(-128 - low / scale)
        for zero_point in range(max(around - 2, -128), min(around + 2, 127) + 1):
            best = min(best, squared_error(levels, scale, zero_point))
    params = from_table(levels)
    # Its own grid of scales is coarser: 1 % of the squared error lies between its points.
    assert squared_error(levels, params.scale[0], params.zero_point[0]) <= 1.01 * best + 1e-12


def test_from_table_beats_the_range_where_zero_lies_between_steps() -> None:
    levels = NORMALIZATIONS["tf"]
    plain, best = from_range(-1.0, 1.0), from_table(levels)
    error = squared_error(levels, best.scale[0], best.zero_point[0])
    assert error < 0.3 * squared_error(levels, plain.scale[0], plain.zero_point[0])


def test_from_table_of_zeros() -> None:
    assert from_table(np.zeros(256)) == from_range(0.0, 0.0)


@pytest.mark.parametrize(
    ("scale", "zero_point", "axis"),
    [
        ((), (), None),
        ((1.0, 2.0), (0,), 0),
        ((1.0, 2.0), (0, 0), None),
        ((0.0,), (0,), None),
        ((-1.0,), (0,), None),
        ((float("nan"),), (0,), None),
        ((float("inf"),), (0,), None),
        ((0.1,), (0,), None),  # no float32
        ((2.0**-127,), (0,), None),  # no normal float32
    ],
)
def test_params_that_no_kernel_takes(
    scale: tuple[float, ...], zero_point: tuple[int, ...], axis: int | None
) -> None:
    with pytest.raises(ConvertError):
        QuantParams(scale, zero_point, axis)


def test_the_smallest_scale_of_all() -> None:
    assert QuantParams((2.0**-126,), (0,)).scale == (2.0**-126,)


@pytest.mark.parametrize(
    ("low", "high", "saturates"),
    [
        (-1.28, 1.27, True),
        (-2.0, 2.0, True),
        (-1.276, 1.266, True),  # 0.4 of a step inside
        (-1.27, 1.27, False),  # a whole step
        (-1.28, 1.26, False),
        (-float("inf"), float("inf"), True),
    ],
)
def test_saturates_at(low: float, high: float, saturates: bool) -> None:
    params = QuantParams((float(np.float32(0.01)),), (0,))
    assert params.saturates_at(low, high) is saturates


@pytest.mark.parametrize("axis", [None, 0, 2])
def test_dequantize(axis: int | None) -> None:
    count = 1 if axis is None else 2
    params = QuantParams((0.5, 0.25)[:count], (3, -4)[:count], axis)
    q = np.arange(8).reshape(2, 2, 2).astype(np.int8)
    expected = np.empty(q.shape, np.float32)
    for index in np.ndindex(*q.shape):
        entry = 0 if axis is None else index[axis]
        expected[index] = params.scale[entry] * (int(q[index]) - params.zero_point[entry])
    np.testing.assert_array_equal(params.dequantize(q), expected, strict=True)


def test_spec_as_uint8_means_the_same() -> None:
    params = QuantParams((0.5,), (-3,))
    x: Array = f32([-1.0, 0.0, 7.5])
    signed, unsigned = (params.spec("x", (3,), dtype) for dtype in ("int8", "uint8"))
    assert (signed.zero_point, unsigned.zero_point) == (-3, 125)
    as_signed = signed.quantize(x)
    np.testing.assert_array_equal(as_signed.astype(int) + 128, unsigned.quantize(x))
    np.testing.assert_array_equal(params.dequantize(as_signed), x)
