"""PRelu: a slope below zero, one for all or one for each channel."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import LeakyRelu, PRelu


def convert(node: SourceNode) -> Activation:
    """One slope for all is a LeakyRelu."""
    x, slope = node.activation(0), node.weights(1)
    if slope.ndim > len(x.shape):
        raise RefusedError(f"its slope has shape {slope.shape} for an input of shape {x.shape}")
    if slope.size == 1:
        return node.emit(LeakyRelu(float(slope.reshape(()))), x)
    return node.emit(PRelu(), x, slope)
