"""Gelu (opset 20): exactly, or by tanh."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Gelu


def convert(node: SourceNode) -> Activation:
    kind = node.attribute("approximate", "none")
    if kind not in ("none", "tanh"):
        raise RefusedError(f"approximate {kind!r} is not one of ONNX's")
    return node.emit(Gelu(kind == "tanh"), node.activation(0))
