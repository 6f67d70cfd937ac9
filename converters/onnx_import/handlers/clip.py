"""Clip with constant limits; Clip(0, 6) is the ReLU6 of MobileNetV2."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import SHIFTS, Activation, Integers, RefusedError, SourceNode
from converters.operators import INFINITY, Clamp, Maximum, Minimum, Requantize
from converters.quantize.params import QMAX, QMIN


def convert(node: SourceNode) -> Activation | Integers:
    """y = min(max(x, low), high).

    An int8 range always holds zero, so only a clamp around it is what saturation computes; any
    other is a maximum and a minimum.
    """
    if isinstance(node.inputs[0], Integers):
        return _of_integers(node, node.inputs[0])
    x = node.activation(0)
    low, high = node.scalar(1, -INFINITY), node.scalar(2, INFINITY)
    if low > high:
        raise RefusedError(f"limits {low} to {high}; the first is above the second")
    if (low, high) == (-INFINITY, INFINITY):
        return x
    if low <= 0 <= high and low != high:
        return node.emit(Clamp(low, high), x)
    if low == -INFINITY:
        return node.emit(Minimum(), x, _number(high))
    if high == INFINITY:
        return node.emit(Maximum(), x, _number(low))
    return node.emit(Minimum(), node.emit(Maximum(), x, _number(low), step="low"), _number(high))


def _of_integers(node: SourceNode, integers: Integers) -> Integers:
    """Clamp what integers mean: PyTorch so writes a quantization to fewer than 8 bits."""
    if integers.params.axis is not None:
        raise RefusedError(
            "it clips integers with a scale for each channel; quantize activations per tensor"
        )
    scale, zero_point = integers.params.scale[0], integers.params.zero_point[0]
    reals = []
    for index, end in ((1, QMIN), (2, QMAX)):
        limit = node.constant(index)
        step = end
        if limit is not None:
            if limit.size != 1 or limit.dtype not in SHIFTS:
                raise RefusedError("its limits are no integers as its input")
            step = int(limit.reshape(())) - SHIFTS[limit.dtype]
        reals.append(scale * (step - zero_point))
    low, high = reals
    if integers.params.low >= low and integers.params.high <= high:
        return integers
    if not low <= 0 <= high or low == high:
        raise RefusedError(f"its limits mean {low:g} to {high:g}, of which 0 is no part")
    clamped = node.emit(Clamp(low, high), integers.activation, step="clamped")
    return Integers(node.emit(Requantize(integers.params), clamped), integers.params)


def _number(value: float) -> np.typing.NDArray[np.float32]:
    return np.asarray(value, np.float32)
