"""HardSigmoid: an affine between 0 and 1, which a convolution before it can take."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.handlers.affine import along_one_axis
from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Affine, Clamp


def convert(node: SourceNode) -> Activation:
    """y = min(max(alpha * x + beta, 0), 1)."""
    x = node.activation(0)
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    found = along_one_axis(np.asarray(alpha, np.float32), x.shape)
    if found is None:
        raise RefusedError(f"its input has shape {x.shape}")
    gain, axis = found
    straight = node.emit(Affine(gain, np.full_like(gain, beta), axis), x, step="straight")
    return node.emit(Clamp(0.0, 1.0), straight)
