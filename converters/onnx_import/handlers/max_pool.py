"""MaxPool over pixels."""

from __future__ import annotations

from converters.onnx_import.handlers.window import read_window
from converters.onnx_import.source import Emit, RefusedError, SourceNode
from converters.operators import MaxPool


def convert(node: SourceNode) -> Emit:
    x = node.activation(0)
    window = read_window(node, x.shape)
    if node.attribute("ceil_mode", 0):
        raise RefusedError("ceil_mode is not supported")
    if window.dilations != (1, 1):
        raise RefusedError("dilation is not supported")
    return Emit(MaxPool(window.kernel, window.strides, window.pads), (x,))
