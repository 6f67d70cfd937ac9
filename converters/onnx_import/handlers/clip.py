"""Clip with constant limits; Clip(0, 6) is the ReLU6 of MobileNetV2."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import INFINITY, Clamp, Maximum, Minimum


def convert(node: SourceNode) -> Activation:
    """y = min(max(x, low), high).

    An int8 range always holds zero, so only a clamp around it is what saturation computes; any
    other is a maximum and a minimum.
    """
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


def _number(value: float) -> np.typing.NDArray[np.float32]:
    return np.asarray(value, np.float32)
