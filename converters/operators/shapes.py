"""The shapes that operators give."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from converters.errors import GraphError

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[int, int, int, int]  # top, left, bottom, right: ONNX's order


def window_output(
    x: Shape,
    kernel: Pair,
    strides: Pair,
    pads: Pads,
    dilations: Pair = (1, 1),
) -> Pair:
    """Return (height, width) after a sliding window, rounding down (ONNX's formula).

    Raises: GraphError: the input has no pixels, or the window is larger than the padded input.
    """
    if len(x) != 4:
        raise GraphError(f"an input of shape {x} has no pixels")
    sides = []
    for axis in (0, 1):
        padded = x[2 + axis] + pads[axis] + pads[axis + 2]
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        if reach > padded:
            raise GraphError(f"a window of {reach} does not fit a padded input of {padded}")
        sides.append((padded - reach) // strides[axis] + 1)
    return (sides[0], sides[1])


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that all of them broadcast to. Raises: GraphError: there is none."""
    try:
        return tuple(int(side) for side in np.broadcast_shapes(*shapes))
    except ValueError as cause:
        raise GraphError(f"shapes {' and '.join(map(str, shapes))} do not fit together") from cause


def check_axes(axes: tuple[int, ...], rank: int) -> None:
    """Raise GraphError where `axes` are not different axes of a value of `rank`."""
    if len(set(axes)) != len(axes) or not all(0 <= axis < rank for axis in axes):
        raise GraphError(f"axes {list(axes)} of {rank}")


def same_size(x: Shape, shape: Shape) -> None:
    """Raise GraphError where two shapes do not hold equally many values."""
    if math.prod(x) != math.prod(shape):
        raise GraphError(f"{x} and {shape} do not hold equally many values")
