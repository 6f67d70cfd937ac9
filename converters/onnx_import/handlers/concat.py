"""Concat of activations, constants among them."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Concat


def convert(node: SourceNode) -> Activation:
    values = [node.operand(index) for index in range(len(node.inputs))]
    if not values or not values[0].shape:
        raise RefusedError("it has nothing to join")
    values = [value for value in values if 0 not in value.shape]
    if len(values) == 1 and isinstance(values[0], Activation):
        return values[0]
    axis = node.axis(node.attribute("axis", 0), len(values[0].shape))
    return node.emit(Concat(axis), *values)
