"""The integers of a node's weights and biases, as a quantized file holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.errors import ConvertError
from converters.graph import Node
from converters.operators import Weighted
from converters.quantize.integers import Dequantized, GivenConstants
from converters.quantize.params import QMAX, QMIN, SMALLEST_NORMAL, QuantParams
from converters.quantize.quantized import QuantizedWeights
from converters.quantize.weights import SUM_LIMIT, quantize_bias, quantize_weights

# A bias scale is a product of two float32 numbers: tools round it once, or the factors before.
BIAS_SCALE_ERROR = 2.0**-21


NOT_ALONG_OUTPUTS = (
    "its weights are not integers times one scale for all or for each output channel"
)


class WeightsRefusedError(Exception):
    """The reason why a node's weights have no int8 form."""


@dataclass(frozen=True, slots=True)
class Found:
    """Weights in integers, and what of them is not as the file has it, "" where nothing is."""

    weights: QuantizedWeights
    note: str
    is_bias_float: bool


def given_weights(node: Node, constants: GivenConstants, given: QuantParams) -> Found:
    """Return the integers of a node whose input has the parameters `given`.

    Raises: WeightsRefusedError: the file holds no weights that are symmetric int8 with a scale for
        each output channel or one for all, or no int32 holds the biases or sums.
    """
    operator = node.operator
    assert isinstance(operator, Weighted)  # noqa: S101 (the callers checked it)
    try:
        if constants.weight is not None:
            weight, scale = weight_steps(operator, constants.weight)
        elif operator.weight.size == len(operator.bias):
            # One weight a channel is 127 steps of a scale of its own: as exact as the float.
            ours = quantize_weights(operator, 0, given.scale[0])
            return Found(ours, "", is_bias_float=constants.bias is None)
        else:
            raise WeightsRefusedError("its weights are not quantized in the file")
        with np.errstate(under="ignore"):
            bias_scale = (np.float32(given.scale[0]) * scale).astype(np.float32)
        if not (bias_scale >= SMALLEST_NORMAL).all():
            raise WeightsRefusedError("input scale times weight scale is no normal float32")
        bias, note, is_float = _bias(operator, constants.bias, bias_scale)
    except ConvertError as cause:
        raise WeightsRefusedError(str(cause)) from cause
    params = QuantParams(tuple(float(s) for s in scale), (0,) * len(scale), 0)
    weights = QuantizedWeights(weight, params, bias, bias_scale)
    if weights.largest_sum().max() >= SUM_LIMIT:
        raise WeightsRefusedError("its sums may leave 32 bits")
    return Found(weights, note, is_float)


def weight_steps(
    operator: Weighted, held: Dequantized
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return weights in the operator's own order, int8, and a scale for each output channel.

    Handlers turn weights, and may multiply them: the integers are what times the scales gives the
    operator's weights again, bit for bit.
    Raises: WeightsRefusedError: they are no such integers, or do not fit int8.
    """
    channels = len(operator.bias)
    if len(held.scales) not in (1, channels):
        raise WeightsRefusedError(NOT_ALONG_OUTPUTS)
    scale = np.broadcast_to(held.scales, channels)
    along = scale.reshape(-1, *[1] * (operator.weight.ndim - 1))
    steps = np.rint(operator.weight.astype(np.float64) / along)
    if not np.array_equal(steps.astype(np.float32) * along, operator.weight):
        raise WeightsRefusedError(NOT_ALONG_OUTPUTS)
    if steps.min() < QMIN or steps.max() > QMAX:
        raise WeightsRefusedError(
            "its weights are asymmetric: less their zero point they do not fit int8. Quantize "
            "weights symmetrically"
        )
    return steps.astype(np.int8), scale


def _bias(
    operator: Weighted, held: Dequantized | None, scale: NDArray[np.float32]
) -> tuple[NDArray[np.int32], str, bool]:
    """Return biases in steps of `scale`, what was done to them, and whether they were float."""
    is_same = held is not None and np.array_equal(held.real.reshape(-1), operator.bias)
    if held is None or not is_same:
        return quantize_bias(operator.bias, scale), "", bool(operator.bias.any())
    if held.integers.dtype == np.int32:
        apart = np.abs(held.scales.astype(np.float64) - scale) / scale
        if apart.max() <= BIAS_SCALE_ERROR:
            return held.integers.reshape(-1), "", False
    steps = quantize_bias(operator.bias, scale)
    if np.array_equal(steps.astype(np.float32) * scale, operator.bias):
        return steps, "", False  # of a scale that is a multiple, as powers of two are
    note = "its bias has another scale in the file than input scale times weight scale: rounded"
    return steps, note, False
