"""Flatten after the batch axis."""

from __future__ import annotations

import math

from converters.onnx_import.source import Emit, RefusedError, SourceNode
from converters.operators import Reshape


def convert(node: SourceNode) -> Emit:
    x = node.activation(0)
    axis = node.attribute("axis", 1)
    if axis not in (1, 1 - len(x.shape)):
        raise RefusedError(f"axis {axis}; supported is 1, which keeps the batch")
    return Emit(Reshape((x.shape[0], math.prod(x.shape[1:]))), (x,))
