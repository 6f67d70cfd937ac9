"""MaxPool over pixels."""

from __future__ import annotations

from converters.onnx_import.handlers.window import read_pool
from converters.onnx_import.source import Emit, SourceNode
from converters.operators import MaxPool


def convert(node: SourceNode) -> Emit:
    x = node.activation(0)
    window = read_pool(node, x.shape)
    return Emit(MaxPool(window.kernel, window.strides, window.pads), (x,))
