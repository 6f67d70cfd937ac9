"""GlobalAveragePool: the mean over all pixels."""

from __future__ import annotations

from converters.onnx_import.source import Emit, SourceNode
from converters.operators import GlobalAveragePool


def convert(node: SourceNode) -> Emit:
    return Emit(GlobalAveragePool(), (node.activation(0),))
