"""AveragePool, padding counted or not; over the whole image it is a global one."""

from __future__ import annotations

from converters.onnx_import.handlers.window import read_pool
from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import AveragePool, GlobalAveragePool


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    window, added = read_pool(node, x.shape)
    counts = bool(node.attribute("count_include_pad", 0)) and any(window.pads)
    if counts and added:
        raise RefusedError("count_include_pad where ceil_mode adds a row has no TFLite form")
    if window.kernel == x.shape[2:] and not any(window.pads):
        return node.emit(GlobalAveragePool(), x)
    return node.emit(AveragePool(window.kernel, window.strides, window.pads, counts), x)
