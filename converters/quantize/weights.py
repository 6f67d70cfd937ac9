"""Round the weights of a convolution or Gemm, a scale for each output channel or one for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.errors import ConvertError
from converters.operators import Weighted
from converters.quantize.params import SMALLEST_SCALE, QuantParams
from converters.quantize.quantized import QuantizedWeights

WEIGHT_QMAX = 127  # symmetric: -128 is left out, so that no kernel's 16-bit pair sum overflows
BIAS_LIMIT = 2.0**30  # half of int32: the sum over a window adds to the bias
SUM_LIMIT = 2**31  # kernels sum in int32, which wraps without a word


def quantize_weights(
    operator: Weighted, axis: int, input_scale: float, *, per_tensor: bool = False
) -> QuantizedWeights:
    """Return int8 weights by rounding to nearest, and int32 biases.

    A channel's scale is its largest absolute weight over 127, but never so small that its bias, or
    its sum over any input, would leave int32 or the scale would be no normal number: a dead channel
    has no largest weight, one with tiny weights would overflow, and so would one that sums very
    many large ones. With `per_tensor` all channels have the largest of these scales.

    Raises: ConvertError: the weights are not finite, or their products with the input are not.
    """
    weight, bias = operator.weight, operator.bias
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ConvertError("weights hold NaN or infinity; the model was not trained or is damaged")
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others).astype(np.float64)
    floor = np.abs(bias).astype(np.float64) / (input_scale * BIAS_LIMIT)
    scale = np.maximum(np.maximum(largest / WEIGHT_QMAX, floor), SMALLEST_SCALE)
    # A channel of zeros takes the layer's typical scale: any would do, an extreme one helps nobody.
    dead = (largest == 0) & (floor < np.median(scale))
    scale[dead] = np.median(scale)
    along = None if per_tensor else axis
    scale = _scales(scale, along)
    result = _rounded(operator, along, scale, input_scale)
    while (full := result.largest_sum() / SUM_LIMIT).max() >= 1:
        # Rounding may keep a sum as large as it was, so a scale always grows.
        grown = np.where(full >= 1, scale * np.maximum(full, 1.005), scale)
        scale = _scales(grown, along)
        result = _rounded(operator, along, scale, input_scale)
    return result


def _scales(scale: NDArray[np.float64], axis: int | None) -> NDArray[np.float64]:
    """Return float64 [O]: the scale of each channel; without an `axis`, the largest for all."""
    return scale if axis is not None else np.full_like(scale, scale.max())


def _rounded(
    operator: Weighted, axis: int | None, scale: NDArray[np.float64], input_scale: float
) -> QuantizedWeights:
    """Round weights and biases, given the scale of each channel [O]; all one without an `axis`."""
    scale32 = scale.astype(np.float32)
    along = [1] * operator.weight.ndim
    along[axis or 0] = -1
    q = np.rint(operator.weight / scale32.reshape(along)).clip(-WEIGHT_QMAX, WEIGHT_QMAX)
    with np.errstate(over="ignore"):
        bias_scale = (np.float32(input_scale) * scale32).astype(np.float32)
    if not np.isfinite(bias_scale).all():
        raise ConvertError(
            f"weights of up to {np.abs(operator.weight).max():.3g} times inputs in steps of "
            f"{input_scale:.3g} are no float32; the model was not trained or is damaged"
        )
    different = scale32 if axis is not None else scale32[:1]
    params = QuantParams(tuple(float(s) for s in different), (0,) * len(different), axis)
    bias = quantize_bias(operator.bias, bias_scale)
    return QuantizedWeights(q.astype(np.int8), params, bias, bias_scale)


def reachable_bias(
    operator: Weighted, axis: int, given: QuantParams, taken: QuantParams
) -> NDArray[np.float32]:
    """Return float32 [O]: the biases, each no larger than saturates the output for every input.

    In float such a bias may be of any size; its channel's scale, which follows it, would make the
    sums or the output's steps too large for a kernel. One that is not finite stays.

    Args: given, taken: the parameters of the input and of the output.
    """
    others = tuple(i for i in range(operator.weight.ndim) if i != axis)
    size = np.abs(operator.weight).sum(axis=others, dtype=np.float64)
    # Rounding makes of a weight at most twice what it was. The range itself once more, since a
    # bias of an ordinary size costs nothing, and is left as it is.
    reach = 2 * size * max(-given.low, given.high) + taken.high - taken.low
    nearer = np.clip(operator.bias, taken.low - reach, taken.high + reach)
    return np.where(np.isfinite(operator.bias), nearer, operator.bias).astype(np.float32)


def quantize_bias(bias: NDArray[np.float32], bias_scale: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return int32 [O], rounded to nearest. Raises: ConvertError: a value leaves int32."""
    q = np.rint(bias.astype(np.float64) / bias_scale)
    if not (np.abs(q) < 2.0**31).all():
        raise ConvertError(f"a bias of {bias[np.abs(q).argmax()]} does not fit 32 bits")
    return q.astype(np.int32)
