"""Einsum of two values: one product of matrices between transposes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from converters.onnx_import.source import Activation, Operand, RefusedError, SourceNode
from converters.operators import MatMul, Reshape, Transpose

EQUATION = re.compile(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]*)")


def convert(node: SourceNode) -> Activation:
    """Sum over the labels that both have and the result has not.

    Of the others, those of both are the batch, and those of one are rows or columns:
    [batch, rows, summed] x [batch, summed, columns].
    """
    equation = str(node.attribute("equation", "")).replace(" ", "")
    parsed = EQUATION.fullmatch(equation)
    if parsed is None or len(node.inputs) != 2:
        raise RefusedError(f"equation {equation!r}; supported are two named inputs and a result")
    first, second, result = parsed.groups()
    a, b = node.operand(0), node.operand(1)
    sides = _sides(equation, (first, second), (a.shape, b.shape))
    batch = [label for label in result if label in first and label in second]
    rows = [label for label in result if label in first and label not in second]
    columns = [label for label in result if label in second and label not in first]
    summed = [label for label in first if label in second and label not in result]
    if len(batch + rows + columns) != len(result) or set(first + second) - set(result) != set(
        summed
    ):
        raise RefusedError(f"equation {equation!r} sums over a label of one input alone")
    left = _as_matrices(node, a, first, (batch, rows, summed), "left")
    right = _as_matrices(node, b, second, (batch, summed, columns), "right")
    product = node.emit(MatMul(), left, right, step="product")
    made = [*batch, *rows, *columns]
    shape = tuple(sides[label] for label in made)
    order = tuple(made.index(label) for label in result)
    if order == tuple(range(len(order))):
        return node.emit(Reshape(shape), product)
    return node.emit(Transpose(order), node.emit(Reshape(shape), product, step="apart"))


def _sides(
    equation: str, labels: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> dict[str, int]:
    """Return the side that each label stands for."""
    sides: dict[str, int] = {}
    for named, shape in zip(labels, shapes, strict=True):
        if len(named) != len(shape) or len(set(named)) != len(named):
            raise RefusedError(f"{named!r} of {equation!r} does not name the axes of {shape}")
        for label, side in zip(named, shape, strict=True):
            if sides.setdefault(label, side) != side:
                raise RefusedError(f"{label!r} of {equation!r} is {sides[label]} and {side}")
    return sides


def _as_matrices(
    node: SourceNode, value: Operand, labels: str, groups: Sequence[Sequence[str]], step: str
) -> Operand:
    """Return a value with its axes in the order of the groups, each group as one axis."""
    order = tuple(labels.index(label) for group in groups for label in group)
    shape = tuple(
        math.prod(value.shape[labels.index(label)] for label in group) for group in groups
    )
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value.transpose(order)).reshape(shape)
    if order != tuple(range(len(order))):
        value = node.emit(Transpose(order), value, step=f"{step} turned")
    return value if value.shape == shape else node.emit(Reshape(shape), value, step=step)
