"""Identity and Dropout: nothing happens to the value at inference."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode


def convert(node: SourceNode) -> Activation:
    training = node.constant(2) if len(node.inputs) > 2 else None
    if training is not None and training.any():
        raise RefusedError("it is in training mode; export the model in evaluation mode")
    return node.activation(0)
