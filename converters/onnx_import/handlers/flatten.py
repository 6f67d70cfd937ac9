"""Flatten: the axes before and from `axis` on become two."""

from __future__ import annotations

import math

from converters.onnx_import.source import Activation, SourceNode
from converters.operators import Reshape


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    rank = len(x.shape)
    axis = node.attribute("axis", 1)
    axis = rank if axis == rank else node.axis(axis, rank)
    shape = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    return x if shape == x.shape else node.emit(Reshape(shape), x)
