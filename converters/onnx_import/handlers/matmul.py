"""MatMul by a constant matrix: a fully connected layer without bias."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Emit, RefusedError, SourceNode
from converters.operators import Gemm


def convert(node: SourceNode) -> Emit:
    x = node.activation(0)
    weight = node.weights(1)
    if weight.ndim != 2 or len(x.shape) != 2:
        raise RefusedError(
            f"shapes {x.shape} and {weight.shape}; supported is [1, I] times a constant [I, O]"
        )
    bias = np.zeros(weight.shape[1], np.float32)
    return Emit(Gemm(np.ascontiguousarray(weight.T), bias), (x,))
