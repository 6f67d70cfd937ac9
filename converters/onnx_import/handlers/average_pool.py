"""AveragePool whose padding does not count, and where the window never leaves the image."""

from __future__ import annotations

from converters.onnx_import.handlers.window import read_pool
from converters.onnx_import.source import Emit, RefusedError, SourceNode
from converters.operators import AveragePool, GlobalAveragePool


def convert(node: SourceNode) -> Emit:
    x = node.activation(0)
    window = read_pool(node, x.shape)
    if any(window.pads) and node.attribute("count_include_pad", 0):
        raise RefusedError("count_include_pad with padding has no TFLite form")
    if window.kernel == x.shape[2:] and not any(window.pads):
        return Emit(GlobalAveragePool(), (x,))
    return Emit(AveragePool(window.kernel, window.strides, window.pads), (x,))
