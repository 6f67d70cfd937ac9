"""GlobalAveragePool and GlobalMaxPool: one value for all pixels."""

from __future__ import annotations

from converters.onnx_import.source import Activation, SourceNode
from converters.operators import GlobalAveragePool, ReduceMax, ReduceMean


def average(node: SourceNode) -> Activation:
    x = node.activation(0)
    if len(x.shape) == 4:
        return node.emit(GlobalAveragePool(), x)
    return node.emit(ReduceMean(tuple(range(2, len(x.shape)))), x)


def maximum(node: SourceNode) -> Activation:
    x = node.activation(0)
    return node.emit(ReduceMax(tuple(range(2, len(x.shape)))), x)
