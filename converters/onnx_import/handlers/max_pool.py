"""MaxPool; padding never wins."""

from __future__ import annotations

from converters.onnx_import.handlers.window import read_pool
from converters.onnx_import.source import Activation, SourceNode
from converters.operators import MaxPool


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    window, _ = read_pool(node, x.shape)
    return node.emit(MaxPool(window.kernel, window.strides, window.pads), x)
