"""Conv: 2-D convolutions with constant weights."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.handlers.window import read_window
from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Conv


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    weight = node.weights(1)
    if weight.ndim != 4:
        raise RefusedError(f"its weight has {weight.ndim} dimensions; only 2-D (4) is supported")
    groups = node.attribute("group", 1)
    if groups < 1 or weight.shape[0] % groups:
        raise RefusedError(f"{groups} groups for {weight.shape[0]} output channels")
    window = read_window(node, x.shape, (weight.shape[2], weight.shape[3]))
    if window.dilations != (1, 1) and window.strides != (1, 1):
        raise RefusedError("dilation together with a stride has no TFLite form")
    bias = node.weights(2) if len(node.inputs) > 2 and node.inputs[2] is not None else None
    if bias is None:
        bias = np.zeros(weight.shape[0], np.float32)
    operator = Conv(weight, bias, window.strides, window.pads, window.dilations, groups)
    return node.emit(operator, x)
