"""Gemm with constant weights: a fully connected layer."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Gemm


def convert(node: SourceNode) -> Activation:
    """y = alpha A B + beta C; alpha and beta go into the constants."""
    x = node.activation(0)
    weight = node.weights(1)
    if node.attribute("transA", 0):
        raise RefusedError("transA of an activation is not supported")
    if weight.ndim != 2:
        raise RefusedError(f"its weight has {weight.ndim} dimensions, not 2")
    if not node.attribute("transB", 0):
        weight = weight.T
    bias = np.zeros(weight.shape[0], np.float32)
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        constant = node.weights(2)
        if constant.size not in (1, weight.shape[0]):
            raise RefusedError(f"its bias has shape {constant.shape} for {weight.shape[0]} outputs")
        bias = np.broadcast_to(constant.reshape(-1), weight.shape[0]).astype(np.float32)
    alpha, beta = (np.float32(node.attribute(name, 1.0)) for name in ("alpha", "beta"))
    with np.errstate(all="ignore"):
        weight, bias = np.ascontiguousarray(weight) * alpha, bias * beta
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise RefusedError(f"alpha {alpha} and beta {beta} give NaN or infinity")
    return node.emit(Gemm(weight, bias), x)
