"""CastLike of an activation: a constant, or another activation, as float32."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, Converted, RefusedError, SourceNode
from edge.tensors import Array


def convert(node: SourceNode) -> Converted:
    """Every activation is float32, so a constant becomes that and an activation stays."""
    value, like = node.inputs
    if isinstance(like, np.ndarray) and like.dtype != np.float32:
        raise RefusedError(f"to {like.dtype}; activations are float32")
    if isinstance(value, Activation):
        return value
    constant: Array | None = node.constant(0)
    if constant is None or constant.dtype.kind not in "fiu":
        raise RefusedError("its constant input 0 holds no numbers")
    with np.errstate(over="ignore"):
        return constant.astype(np.float32)
