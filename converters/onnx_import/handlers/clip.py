"""Clip with constant limits; Clip(0, 6) is the ReLU6 of MobileNetV2."""

from __future__ import annotations

from converters.onnx_import.source import Activation, Emit, RefusedError, SourceNode
from converters.operators import INFINITY, Clamp


def convert(node: SourceNode) -> Emit | Activation:
    low, high = node.scalar(1, -INFINITY), node.scalar(2, INFINITY)
    if (low, high) == (-INFINITY, INFINITY):
        return node.activation(0)
    if not low <= 0 <= high or low == high:
        # An int8 range always holds zero, so only a clamp around it is what saturation computes.
        raise RefusedError(f"limits {low} to {high}; supported are limits around zero")
    return Emit(Clamp(low, high), (node.activation(0),))
