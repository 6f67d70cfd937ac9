"""Min and Max of any number of inputs; against a constant on the right side of zero, a clamp."""

from __future__ import annotations

from functools import reduce
from itertools import count

import numpy as np

from converters.onnx_import.source import Activation, Operand, RefusedError, SourceNode
from converters.operators import INFINITY, Binary, Clamp, Maximum, Minimum


def convert(node: SourceNode) -> Activation:
    if not node.inputs:
        raise RefusedError("it has no input")
    lower = node.op_type == "Max"
    operands = [node.operand(index) for index in range(len(node.inputs))]
    if len(operands) == 1:
        return node.activation(0)
    found = _limit(operands)
    if found is not None and (found[1] <= 0 if lower else found[1] >= 0):
        x, limit = found
        return node.emit(Clamp(limit, INFINITY) if lower else Clamp(-INFINITY, limit), x)
    operator: Binary = Maximum() if lower else Minimum()
    steps = count(2)

    def join(a: Operand, b: Operand) -> Operand:
        step = next(steps)
        return node.emit(operator, a, b, step="" if step == len(operands) else f"first {step}")

    joined = reduce(join, operands)
    if not isinstance(joined, Activation):
        raise RefusedError("all of its inputs are constants")
    return joined


def _limit(operands: list[Operand]) -> tuple[Activation, float] | None:
    """Return the activation and the one number that two operands are, None where they are not.

    A number of more axes gives them to the activation, which a clamp does not.
    """
    if len(operands) != 2:
        return None
    for x, limit in (operands, operands[::-1]):
        if isinstance(x, Activation) and isinstance(limit, np.ndarray):
            fits = limit.size == 1 and limit.ndim <= len(x.shape)
            return (x, float(limit.reshape(()))) if fits else None
    return None
