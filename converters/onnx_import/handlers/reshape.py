"""Reshape to a constant shape."""

from __future__ import annotations

import math

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Reshape, Shape


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    target = node.whole_numbers(1)
    if target is None:
        raise RefusedError("its shape was left out")
    if node.source_batch > 1 and target and target[0] == node.source_batch:
        target[0] = 1
    shape = _resolve(target, x.shape, allow_zero=bool(node.attribute("allowzero", 0)))
    if shape == x.shape:
        return x
    return node.emit(Reshape(shape), x)


def _resolve(target: list[int], x: Shape, *, allow_zero: bool) -> Shape:
    """Replace 0 (keep this side) and -1 (whatever is left), as ONNX defines them."""
    sides = []
    for axis, side in enumerate(target):
        if side == 0 and not allow_zero:
            if axis >= len(x):
                raise RefusedError(f"shape {target} keeps side {axis} of an input {x}")
            sides.append(x[axis])
        else:
            sides.append(side)
    if sides.count(-1) == 1:
        known = math.prod(side for side in sides if side != -1)
        if known <= 0 or math.prod(x) % known:
            raise RefusedError(f"shape {target} does not fit an input {x}")
        sides[sides.index(-1)] = math.prod(x) // known
    if any(side < 1 for side in sides) or math.prod(sides) != math.prod(x):
        raise RefusedError(f"shape {target} does not fit an input {x}")
    return tuple(sides)
