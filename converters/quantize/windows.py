"""What a convolution or Gemm multiplies its weights with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.operators import Conv, Gemm, window_output
from edge.tensors import F32


def groups_of(operator: Conv | Gemm) -> int:
    """Return how many groups of outputs read inputs of their own."""
    return operator.groups if isinstance(operator, Conv) else 1


def windows(
    operator: Conv | Gemm, x: NDArray[np.uint8], zero_point: int, limit: int, seed: int
) -> F32:
    """Return float32 [G, P, K]: integers less their zero point, in the order of a weight's row.

    P windows at most `limit`, drawn from all places of all pictures, the same for the same `seed`.
    Args: x: uint8 [N, C, H, W], or [N, ..., I] for a Gemm.
    """
    random = np.random.default_rng(seed)
    if isinstance(operator, Gemm):
        rows = x.reshape(1, -1, x.shape[-1])
        return rows[:, _chosen(random, rows.shape[1], limit)].astype(np.float32) - zero_point
    sides = window_output(
        x.shape, operator.kernel, operator.strides, operator.pads, operator.dilations
    )
    places = _chosen(random, len(x) * sides[0] * sides[1], limit)
    picture, place = np.divmod(places, sides[0] * sides[1])
    taps = []
    for tap in range(operator.kernel[0] * operator.kernel[1]):
        inside = np.ones(len(places), bool)
        at = []
        for axis, index in enumerate(np.divmod(place, sides[1])):
            offset = divmod(tap, operator.kernel[1])[axis] * operator.dilations[axis]
            where = index * operator.strides[axis] + offset - operator.pads[axis]
            at.append(np.clip(where, 0, x.shape[2 + axis] - 1))
            inside &= at[-1] == where
        taps.append(np.where(inside[:, None], x[picture, :, at[0], at[1]], np.uint8(zero_point)))
    # [P, C, taps] to [groups, P, channels of a group x taps]
    stacked = np.stack(taps, axis=2).reshape(len(places), operator.groups, -1)
    return stacked.transpose(1, 0, 2).astype(np.float32) - zero_point


def _chosen(random: np.random.Generator, count: int, limit: int) -> NDArray[np.int64]:
    if count <= limit:
        return np.arange(count)
    return np.sort(random.choice(count, limit, replace=False))
