"""Pow by a constant: the products and roots that exporters write with it; else the function."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, Operand, SourceNode
from converters.operators import Mul, Pow, Sqrt


def convert(node: SourceNode) -> Activation:
    exponent = _exponent(node)
    if isinstance(exponent, np.ndarray) and exponent.size == 1:
        x, power = node.activation(0), float(exponent.reshape(()))
        if exponent.ndim <= len(x.shape):
            if power == 1:
                return x
            if power == 2:
                return node.emit(Mul(), x, x)
            if power == 3:
                return node.emit(Mul(), node.emit(Mul(), x, x, step="square"), x)
            if power == 0.5:
                return node.emit(Sqrt(), x)
    return node.emit(Pow(), node.operand(0), exponent)


def _exponent(node: SourceNode) -> Operand:
    """Return the exponent, which alone of all constants may be of whole numbers."""
    value = node.inputs[1]
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return value.astype(np.float32)
    return node.operand(1)
