"""InstanceNormalization: each channel of each picture by itself."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.handlers.layer_normalization import normalized
from converters.onnx_import.source import Activation, RefusedError, SourceNode


def convert(node: SourceNode) -> Activation:
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias, over the axes behind channels."""
    x = node.activation(0)
    rank = len(x.shape)
    if rank < 3:
        raise RefusedError(f"its input has shape {x.shape}, which has no pixels")
    epsilon = np.asarray(node.attribute("epsilon", 1e-5), np.float32)
    channels = (-1, *[1] * (rank - 2))
    scale, bias = node.weights(1), node.weights(2)
    if not scale.shape == bias.shape == (x.shape[1],):
        raise RefusedError(f"scale {scale.shape} and bias {bias.shape} of {x.shape[1]} channels")
    scale_bias = (scale.reshape(channels), bias.reshape(channels))
    return normalized(node, x, tuple(range(2, rank)), epsilon, scale_bias)[0]
