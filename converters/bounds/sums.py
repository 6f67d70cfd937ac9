"""What bounds a convolution or a matrix product has, zeros around the picture included."""

from __future__ import annotations

import numpy as np

from converters.bounds.interval import F64, UNIT, Bounds, Mask, constant
from converters.operators import Conv, Gemm, Shape
from edge.tensors import F32

# So many weights are looked at in float64 at a time: they stay in the processor's cache.
BLOCK = 1 << 18


def of_sums(operator: Conv | Gemm, x: Bounds, shape: Shape) -> Bounds:
    """Return the bounds of weighted sums of `x`, over every place of a window.

    Args: x: of the input's channels; of one convolved by itself, of its own.
    """
    outputs, inputs = operator.weight.shape[:2]
    weight = operator.weight.reshape(outputs, inputs, -1)
    places = windows(operator, shape).astype(np.float64)
    by_itself = isinstance(operator, Conv) and operator.groups > 1
    low, high = (
        # One row for each output, or one for all.
        end.reshape(-1, 1, 1) if by_itself else np.broadcast_to(end, inputs).reshape(1, 1, -1)
        for end in (x.low, x.high)
    )
    step = max(1, BLOCK // max(1, weight[0].size))
    lows, highs = [], []
    for start in range(0, outputs, step):
        rows = slice(start, start + step)
        own = rows if len(low) > 1 else slice(None)
        part = _sums(weight[rows], operator.bias[rows], Bounds(low[own], high[own]), places)
        lows.append(part.low)
        highs.append(part.high)
    return Bounds(np.concatenate(lows), np.concatenate(highs))


def _sums(weight: F32, bias: F32, x: Bounds, places: F64) -> Bounds:
    """Return the bounds of weighted sums.

    Args: weight: [O, I, taps]; x: [O or 1, 1, I]; places: float64 [places, taps], 1 where a tap
        lies within the picture.
    """
    start = constant(bias)
    from_infinity, to_infinity = x.low == -np.inf, x.high == np.inf
    endless_up = _is_met(weight > 0, to_infinity) | _is_met(weight < 0, from_infinity)
    endless_down = _is_met(weight > 0, from_infinity) | _is_met(weight < 0, to_infinity)
    ends = Bounds(np.where(from_infinity, 0, x.low), np.where(to_infinity, 0, x.high))
    found = start
    if ends.low.any() or ends.high.any():
        up = np.maximum(weight, 0, dtype=np.float64)
        down = np.minimum(weight, 0, dtype=np.float64)
        highest = (ends.high @ up + ends.low @ down)[:, 0] @ places.T
        lowest = (ends.low @ up + ends.high @ down)[:, 0] @ places.T
        found = Bounds(start.low + lowest.min(axis=1), start.high + highest.max(axis=1))
        most = (ends.largest @ (up - down)).sum(axis=(1, 2)) + start.largest
        found = found.widened((weight[0].size + 1) * UNIT * most)
    wrong = ~np.asarray(np.isfinite(weight).all(axis=(1, 2)))
    low = np.where(endless_down | wrong, -np.inf, found.low)
    return Bounds(low, np.where(endless_up | wrong, np.inf, found.high))


def _is_met(weight: Mask, x: Mask) -> Mask:
    """Return for which outputs a tap of `weight` [O, I, taps] meets one of `x` [O or 1, 1, I]."""
    if not x.any():
        return np.zeros(len(weight), np.bool_)
    return np.asarray((weight & x.transpose(0, 2, 1)).any(axis=(1, 2)))


def windows(operator: Conv | Gemm, shape: Shape) -> Mask:
    """Return which taps of a window lie within an input of `shape`, wherever it stands.

    bool [kinds of places, taps]; all of them in one row where there is no border to meet.
    """
    if isinstance(operator, Gemm):
        return np.ones((1, 1), np.bool_)
    rows, columns = (
        _inside(
            shape[2 + axis],
            operator.kernel[axis],
            operator.strides[axis],
            operator.dilations[axis],
            (operator.pads[axis], operator.pads[axis + 2]),
        )
        for axis in (0, 1)
    )
    inside = rows[:, None, :, None] & columns[None, :, None, :]
    return inside.reshape(len(rows) * len(columns), -1)


def _inside(side: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> Mask:
    """Return the different rows [kernel] of which taps lie inside along one axis."""
    reach = (kernel - 1) * dilation + 1
    starts = np.arange(0, side + sum(pads) - reach + 1, stride) - pads[0]
    taps = starts[:, None] + np.arange(kernel) * dilation
    inside: Mask = np.unique((taps >= 0) & (taps < side), axis=0)
    return inside
