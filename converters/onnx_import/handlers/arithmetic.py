"""Add, Sub, Mul, Div, Neg and Reciprocal, of two activations or of one and a constant."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.handlers.affine import affine, along_one_axis
from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Add, Div, Mul, Sub
from edge.tensors import F32


def add(node: SourceNode) -> Activation:
    """a + b; a constant along one axis is an Affine, which a convolution before it takes."""
    a, b = node.operand(0), node.operand(1)
    x, constant = (b, a) if isinstance(a, np.ndarray) else (a, b)
    if isinstance(x, Activation) and isinstance(constant, np.ndarray):
        found = along_one_axis(constant, x.shape)
        if found is not None:
            offset, axis = found
            return affine(node, x, np.ones_like(offset), offset, axis)
    return node.emit(Add(), a, b)


def sub(node: SourceNode) -> Activation:
    """a - b."""
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Activation) and isinstance(b, np.ndarray):
        found = along_one_axis(b, a.shape)
        if found is not None:
            offset, axis = found
            return affine(node, a, np.ones_like(offset), -offset, axis)
    if isinstance(a, np.ndarray) and isinstance(b, Activation):
        found = along_one_axis(a, b.shape)
        if found is not None:
            offset, axis = found
            return affine(node, b, -np.ones_like(offset), offset, axis)
    return node.emit(Sub(), a, b)


def mul(node: SourceNode) -> Activation:
    """a * b."""
    a, b = node.operand(0), node.operand(1)
    x, constant = (b, a) if isinstance(a, np.ndarray) else (a, b)
    if isinstance(x, Activation) and isinstance(constant, np.ndarray):
        return _scaled(node, x, constant)
    return node.emit(Mul(), a, b)


def div(node: SourceNode) -> Activation:
    """a / b; by a constant it is a product."""
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Activation) and isinstance(b, np.ndarray):
        if not b.all():
            raise RefusedError("its constant input 1 divides by zero")
        with np.errstate(over="ignore"):  # `_scaled` refuses what becomes infinite
            return _scaled(node, a, (1 / b.astype(np.float64)).astype(np.float32))
    return node.emit(Div(), a, b)


def neg(node: SourceNode) -> Activation:
    """-x is a product."""
    return _scaled(node, node.activation(0), np.asarray(-1, np.float32))


def reciprocal(node: SourceNode) -> Activation:
    """1 / x is a quotient."""
    return node.emit(Div(), np.asarray(1, np.float32), node.activation(0))


def _scaled(node: SourceNode, x: Activation, factor: F32) -> Activation:
    if not np.isfinite(factor).all():
        raise RefusedError("its constant gives infinity")
    found = along_one_axis(factor, x.shape)
    if found is not None:
        gain, axis = found
        return affine(node, x, gain, np.zeros_like(gain), axis)
    return node.emit(Mul(), x, factor)
