from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from converters.errors import ConvertError
from converters.operators import Conv, Gemm
from converters.quantize.params import QuantParams
from converters.quantize.quantized import QuantizedWeights
from converters.quantize.weights import quantize_bias, quantize_weights, reachable_bias
from tests.converters.models import f32, normal


def quantized(weight: object, bias: object, input_scale: float = 0.02) -> QuantizedWeights:
    return quantize_weights(Gemm(f32(weight), f32(bias)), 0, input_scale)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (4, 1, 3, 3), (4, 7)])
def test_each_channel_has_its_scale(shape: tuple[int, ...]) -> None:
    spreads = f32([0.01, 1, 30, 500]).reshape(-1, *[1] * (len(shape) - 1))
    weight, bias = normal(*shape) * spreads, normal(4)
    operator = Conv(weight, bias) if len(shape) == 4 else Gemm(weight, bias)
    result = quantize_weights(operator, 0, 0.02)
    largest = np.abs(weight).reshape(4, -1).max(axis=1)
    np.testing.assert_allclose(result.params.scale, largest / 127, rtol=1e-6)
    assert result.params.axis == 0
    assert result.params.zero_point == (0, 0, 0, 0)
    # Every channel uses its whole range, symmetric: -128 is left out.
    assert (np.abs(result.weight.reshape(4, -1).astype(int)).max(axis=1) == 127).all()
    step = f32(result.params.scale).reshape(spreads.shape)
    assert (np.abs(result.params.dequantize(result.weight) - weight) <= step * 0.501).all()


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (4, 1, 3, 3), (4, 7)])
def test_one_scale_for_all_is_the_largest(shape: tuple[int, ...]) -> None:
    spreads = f32([0.01, 1, 30, 500]).reshape(-1, *[1] * (len(shape) - 1))
    weight, bias = normal(*shape) * spreads, normal(4)
    operator = Conv(weight, bias) if len(shape) == 4 else Gemm(weight, bias)
    result = quantize_weights(operator, 0, 0.02, per_tensor=True)
    (scale,) = result.params.scale
    assert result.params.axis is None
    assert scale == pytest.approx(np.abs(weight).max() / 127, rel=1e-6)
    assert result.scales.tolist() == [np.float32(scale)] * 4
    assert (np.abs(result.params.dequantize(result.weight) - weight) <= scale * 0.501).all()
    error = np.abs(result.bias * result.bias_scale - bias)
    assert (error <= np.float32(0.02) * scale * 0.501).all()


@pytest.mark.parametrize("count", [2**16, 2**17])
def test_sums_of_one_scale_stay_in_32_bits(count: int) -> None:
    # The first channel's sums alone leave it; the second has the same scale all the same.
    weight = np.concatenate([np.ones((1, count)), np.full((1, count), 0.001)]).astype(np.float32)
    result = quantize_weights(Gemm(weight, f32([0, 3])), 0, 0.02, per_tensor=True)
    assert result.largest_sum().max() < 2**31
    assert len(result.params.scale) == 1
    assert (result.params.scale[0] > 1.001 / 127) == (count > 2**16)


def test_a_tiny_channel_with_a_large_bias_sets_the_scale_of_all() -> None:
    operator = Gemm(f32([[1e-20], [1e-9]]), f32([1e5, 1]))
    result = quantize_weights(operator, 0, 1e-3, per_tensor=True)
    assert (np.abs(result.bias.astype(float)) <= 2**30).all()
    np.testing.assert_allclose(result.bias * result.bias_scale, [1e5, 1], rtol=1e-3)


def test_biases_are_in_steps_of_both_scales() -> None:
    result = quantized(normal(4, 7), normal(4, seed=1), input_scale=0.02)
    np.testing.assert_array_equal(
        result.bias_scale, np.float32(0.02) * f32(result.params.scale), strict=True
    )
    error = np.abs(result.bias * result.bias_scale - normal(4, seed=1))
    assert (error <= result.bias_scale * 0.501).all()
    assert result.bias.dtype == np.int32


def test_a_dead_channel_takes_the_layers_typical_scale() -> None:
    weight = normal(5, 7)
    weight[2] = 0
    result = quantized(weight, [1, 1, 0.5, 1, 1])
    assert not result.weight[2].any()
    others = [result.params.scale[i] for i in (0, 1, 3, 4)]
    assert min(others) <= result.params.scale[2] <= max(others)
    np.testing.assert_allclose(result.bias[2] * result.bias_scale[2], 0.5, rtol=1e-3)


@pytest.mark.parametrize("weight", [1e-20, 1e-30, 1e-38, 0.0])
@pytest.mark.parametrize("bias", [3.0, -1e5, 0.0])
def test_tiny_weights_with_a_large_bias_do_not_overflow(weight: float, bias: float) -> None:
    result = quantized([[weight, -weight], [1, 2]], [bias, 0.1], input_scale=1e-3)
    assert (np.abs(result.bias.astype(float)) <= 2**30).all()
    # The bias survives, though the weights are lost beside it.
    step = float(result.bias_scale[0])
    assert abs(result.bias[0] * step - bias) <= 0.501 * step


# K weights of 127 under inputs 255 away from their zero point sum to 127 * 255 * K: below 2^31 up
# to K = 66311, which leaves 1912 for the bias.
FULL, ROOM = 66311, 1912


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("count", "bias", "fits"),
    [(FULL, 0, True), (FULL + 1, 0, False), (FULL, ROOM, True), (FULL, ROOM + 1, False)],
)
def test_the_largest_sum_of_int32_and_one_larger(
    count: int, bias: int, fits: bool, sign: int
) -> None:
    weight = np.full((2, count), sign)
    weight[1, ::2] = 0  # a channel that has room
    step = float(np.float32(0.02) * np.float32(1 / 127))
    result = quantized(weight, [bias * step * sign, 0])
    sums = np.abs(result.weight).sum(axis=1, dtype=np.int64) * 255 + np.abs(result.bias)
    assert (sums < 2**31).all()
    scale, other = result.params.scale
    assert other == float(np.float32(1 / 127))
    assert (scale == other) is fits
    # No coarser than it must be: 126 steps hold what 127 do not.
    assert scale < 1.01 * other
    assert np.abs(result.params.dequantize(result.weight) - weight).max() <= scale * 0.501


def test_a_layer_of_zeros() -> None:
    result = quantized(np.zeros((2, 3)), [0, 2])
    assert not result.weight.any()
    np.testing.assert_allclose(result.bias * result.bias_scale, [0, 2], rtol=1e-6)


finite = st.floats(-1e6, 1e6, width=32)


@given(
    st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=6),
    st.floats(1e-6, 10),
)
@settings(max_examples=200, deadline=None)
def test_any_finite_layer(rows: list[tuple[float, float, float]], input_scale: float) -> None:
    weight, bias = f32([row[:2] for row in rows]), f32([row[2] for row in rows])
    scale = float(np.float32(input_scale))
    result = quantized(weight, bias, scale)
    assert result.weight.min() >= -127
    assert (np.abs(result.bias.astype(float)) <= 2**30 * (1 + 1e-6)).all()
    step = f32(result.params.scale)[:, None]
    assert (np.abs(result.params.dequantize(result.weight) - weight) <= step * 0.501).all()


GIVEN = QuantParams((float(np.float32(0.02)),), (-128,))  # up to 5.1
TAKEN = QuantParams((float(np.float32(0.05)),), (-128,))  # up to 12.75


@given(
    st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=4),
    st.floats(-(2.0**100), 2.0**100, width=32),
    st.lists(st.integers(-128, 127), min_size=4, max_size=4),
)
@example([1e-5, -1e-5], -1e30, [127, -128, 0, 0])
@example([1.0], 1e9, [-128, 0, 0, 0])
@example([0.0], -1.0, [0, 0, 0, 0])
@settings(max_examples=300, deadline=None)
def test_a_bias_out_of_reach_saturates_as_it_did(
    row: list[float], bias: float, pixels: list[int]
) -> None:
    operator = Gemm(f32([row]), f32([bias]))
    nearer = reachable_bias(operator, 0, GIVEN, TAKEN)
    x = GIVEN.dequantize(np.asarray(pixels[: len(row)], np.int8)).astype(np.float64)
    sums = operator.weight.astype(np.float64) @ x
    if nearer == bias:
        return
    assert abs(nearer[0]) < abs(bias)
    weights = quantize_weights(replace(operator, bias=nearer), 0, GIVEN.scale[0])
    q = weights.params.dequantize(weights.weight).astype(np.float64) @ x
    q = q + weights.bias * weights.bias_scale.astype(np.float64)
    expected = TAKEN.high if bias > 0 else TAKEN.low
    for outputs in (sums + bias, q):
        np.testing.assert_array_equal(np.clip(outputs, TAKEN.low, TAKEN.high), expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bias_within_reach_stays_and_one_beyond_is_moved(sign: int) -> None:
    # Twice what weights of 3 in all make of inputs up to 5.1, and the range of 12.75 once more.
    reach = 2 * 3 * GIVEN.high + TAKEN.high + (TAKEN.high if sign > 0 else 0)
    limit = f32([sign * reach])
    operator = Gemm(f32([[1, -2]]), limit)
    np.testing.assert_array_equal(reachable_bias(operator, 0, GIVEN, TAKEN), limit, strict=True)
    beyond = replace(operator, bias=limit * f32(1.0001))
    assert (reachable_bias(beyond, 0, GIVEN, TAKEN) == limit).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bias_that_is_not_finite_stays_to_be_refused(value: float) -> None:
    operator = Gemm(f32([[1], [2]]), f32([value, 1]))
    np.testing.assert_array_equal(reachable_bias(operator, 0, GIVEN, TAKEN), operator.bias)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    with pytest.raises(ConvertError, match="NaN or infinity"):
        quantized([[value]], [0])
    with pytest.raises(ConvertError, match="NaN or infinity"):
        quantized([[1]], [value])


def test_the_largest_bias_and_one_larger() -> None:
    one = f32([1.0])
    assert quantize_bias(f32([2.0**31 - 128]), one)[0] == 2**31 - 128
    with pytest.raises(ConvertError, match="does not fit 32 bits"):
        quantize_bias(f32([2.0**31]), one)


def test_products_beyond_float32_are_refused() -> None:
    operator = Conv(np.full((1, 1, 1, 1), 1e38, np.float32), np.zeros(1, np.float32))
    quantize_weights(operator, 0, 100.0)
    with pytest.raises(ConvertError, match=r"up to 1e\+38 times inputs in steps of 1e\+03"):
        quantize_weights(operator, 0, 1000.0)
