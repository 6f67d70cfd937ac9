"""Relu: a clamp from below."""

from __future__ import annotations

from converters.onnx_import.source import Emit, SourceNode
from converters.operators import INFINITY, Clamp


def convert(node: SourceNode) -> Emit:
    return Emit(Clamp(0.0, INFINITY), (node.activation(0),))
