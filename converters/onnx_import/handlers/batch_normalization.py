"""BatchNormalization at inference: one gain and one offset a channel."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.handlers.affine import affine
from converters.onnx_import.source import Activation, RefusedError, SourceNode


def convert(node: SourceNode) -> Activation:
    """y = scale * (x - mean) / sqrt(variance + epsilon) + bias, computed in float64."""
    # Before opset 14 only the outputs that training needs told the modes apart.
    if node.attribute("training_mode", 0) or (node.opset < 14 and sum(map(bool, node.outputs)) > 1):
        raise RefusedError("it is in training mode; export the model in evaluation mode")
    scale, bias, mean, variance = (node.weights(i).astype(np.float64) for i in (1, 2, 3, 4))
    epsilon = node.attribute("epsilon", 1e-5)
    if not scale.shape == bias.shape == mean.shape == variance.shape or scale.ndim != 1:
        raise RefusedError("its scale, bias, mean and variance are not vectors of one length")
    if (variance + epsilon <= 0).any():
        raise RefusedError("a variance is negative")
    gain = scale / np.sqrt(variance + epsilon)
    offset = bias - mean * gain
    with np.errstate(over="ignore"):  # `affine` refuses what becomes infinite
        gain32, offset32 = gain.astype(np.float32), offset.astype(np.float32)
    return affine(node, node.activation(0), gain32, offset32, axis=1)
