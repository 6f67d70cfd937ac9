"""Add: of two activations (a shortcut), or of a constant a channel (a bias)."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.handlers.affine import affine
from converters.onnx_import.source import Activation, Emit, RefusedError, SourceNode
from converters.operators import Add, Shape
from edge.tensors import F32


def convert(node: SourceNode) -> Emit:
    constants = [i for i in (0, 1) if isinstance(node.inputs[i], np.ndarray)]
    if not constants:
        a, b = node.activation(0), node.activation(1)
        if a.shape != b.shape:
            raise RefusedError(
                f"its inputs have shapes {a.shape} and {b.shape}; they must be equal"
            )
        return Emit(Add(), (a, b))
    x: Activation = node.activation(1 - constants[0])
    offset = per_channel(node.weights(constants[0]), x.shape)
    return affine(x, np.ones_like(offset), offset)


def per_channel(constant: F32, x: Shape) -> F32:
    """Return `constant`, which broadcasts to `x`, as one value a channel [C].

    Raises: RefusedError: it varies along other axes than the channels.
    """
    aligned = constant.reshape((1,) * (len(x) - constant.ndim) + constant.shape)
    if (
        aligned.ndim != len(x)
        or len(x) < 2
        or aligned.size not in (1, x[1])
        or aligned.shape[1] != aligned.size
    ):
        raise RefusedError(
            f"its constant has shape {constant.shape}; supported is one value, or one a channel"
        )
    return np.broadcast_to(aligned.reshape(-1), x[1]).astype(np.float32)
