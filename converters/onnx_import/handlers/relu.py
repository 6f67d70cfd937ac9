"""Relu: a clamp from below."""

from __future__ import annotations

from converters.onnx_import.source import Activation, SourceNode
from converters.operators import INFINITY, Clamp


def convert(node: SourceNode) -> Activation:
    return node.emit(Clamp(0.0, INFINITY), node.activation(0))
