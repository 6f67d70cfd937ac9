"""Cast of an activation to float32, which it is already."""

from __future__ import annotations

import onnx

from converters.onnx_import.source import Activation, RefusedError, SourceNode


def convert(node: SourceNode) -> Activation:
    to = node.attribute("to", 0)
    if to != onnx.TensorProto.FLOAT:
        raise RefusedError(f"to element type {to}; activations are float32")
    return node.activation(0)
