"""MatMul: by a constant matrix it is a fully connected layer without bias."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, SourceNode
from converters.operators import Gemm, MatMul


def convert(node: SourceNode) -> Activation:
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Activation) and isinstance(b, np.ndarray) and b.ndim == 2 and len(a.shape) > 1:
        bias = np.zeros(b.shape[1], np.float32)
        return node.emit(Gemm(np.ascontiguousarray(b.T), bias), a)
    return node.emit(MatMul(), a, b)
