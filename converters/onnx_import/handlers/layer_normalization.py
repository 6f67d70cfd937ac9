"""LayerNormalization over the last axes, as the sums and products that it is."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, Operand, RefusedError, SourceNode
from converters.operators import Add, Mul, ReduceMean, Rsqrt, Sub
from edge.tensors import F32


def convert(node: SourceNode) -> tuple[Activation, ...]:
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias (Ba et al., 2016).

    Its other outputs are the mean, and what it multiplies by.
    """
    x = node.activation(0)
    rank = len(x.shape)
    axes = tuple(range(node.axis(node.attribute("axis", -1), rank), rank))
    epsilon = np.asarray(node.attribute("epsilon", 1e-5), np.float32)
    bias = node.weights(2) if len(node.inputs) > 2 and node.inputs[2] is not None else None
    found = normalized(node, x, axes, epsilon, (node.weights(1), bias))
    if found[0].shape != x.shape:
        raise RefusedError(f"its scale or bias is larger than its input of shape {x.shape}")
    return found


def normalized(
    node: SourceNode,
    x: Activation,
    axes: tuple[int, ...],
    epsilon: F32,
    scale_bias: tuple[F32, F32 | None],
) -> tuple[Activation, Activation, Activation]:
    """Return x normalized over `axes`, times a scale that broadcasts to it, plus a bias.

    Also its mean and the inverse of its deviation.
    """
    scale, bias = scale_bias
    mean = node.emit(ReduceMean(axes), x, step="mean")
    centred = node.emit(Sub(), x, mean, step="centred")
    squares = node.emit(Mul(), centred, centred, step="squares")
    variance = node.emit(ReduceMean(axes), squares, step="variance")
    factor = node.emit(
        Rsqrt(), node.emit(Add(), variance, epsilon, step="above zero"), step="factor"
    )
    steps: list[tuple[type[Mul | Add], Operand]] = [(Mul, factor), (Mul, scale)]
    if bias is not None:
        steps.append((Add, bias))
    value = centred
    for index, (operator, operand) in enumerate(steps):
        step = "" if index == len(steps) - 1 else f"times {index}"
        value = node.emit(operator(), value, operand, step=step)
    return value, mean, factor
