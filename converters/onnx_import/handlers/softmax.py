"""Softmax over the classes of [1, C]."""

from __future__ import annotations

from converters.onnx_import.source import Emit, RefusedError, SourceNode
from converters.operators import Softmax


def convert(node: SourceNode) -> Emit:
    x = node.activation(0)
    # Before opset 13 the default axis was 1 and all axes from it on were one; for [1, C] both
    # definitions agree.
    axis = node.attribute("axis", -1 if node.opset >= 13 else 1)
    if len(x.shape) != 2 or axis not in (1, -1):
        raise RefusedError(f"axis {axis} of {x.shape}; supported is the class axis of [1, C]")
    return Emit(Softmax(), (x,))
