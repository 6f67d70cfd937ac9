"""Transpose by a constant order."""

from __future__ import annotations

from converters.onnx_import.source import Activation, SourceNode
from converters.operators import Transpose


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    rank = len(x.shape)
    named = node.attribute("perm", None) or list(reversed(range(rank)))
    order = tuple(node.axis(axis, rank) for axis in named)
    return x if order == tuple(range(rank)) else node.emit(Transpose(order), x)
