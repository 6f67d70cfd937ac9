"""A gain and an offset a channel, which BatchNormalization and arithmetic with constants share."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Affine, Shape
from edge.tensors import F32

MAX_REPEATED = 1 << 14


def affine(node: SourceNode, x: Activation, gain: F32, offset: F32, axis: int) -> Activation:
    """Return gain[c] * x + offset[c] along `axis`.

    Raises: RefusedError: a gain or an offset is not finite.
    """
    if not (np.isfinite(gain).all() and np.isfinite(offset).all()):
        raise RefusedError("its constants give NaN or infinity")
    return node.emit(Affine(gain, offset, axis), x)


def along_one_axis(constant: F32, x: Shape) -> tuple[F32, int] | None:
    """Return a constant that broadcasts to `x` as one value for each place of one axis, and which.

    One number alone varies along no axis: it is repeated along the channels (axis 1 of an image,
    else the last). None where it varies along several, makes the value larger, or is one number
    for an axis longer than any weight.
    """
    rank = len(x)
    if not rank or constant.ndim > rank:
        return None
    aligned = constant.reshape((1,) * (rank - constant.ndim) + constant.shape)
    varying = [axis for axis, side in enumerate(aligned.shape) if side != 1]
    axis = varying[0] if varying else (1 if rank == 4 else rank - 1)
    if len(varying) > 1 or (varying and aligned.shape[axis] != x[axis]):
        return None
    if not varying and x[axis] > MAX_REPEATED:
        return None
    return np.broadcast_to(aligned.reshape(-1), x[axis]).astype(np.float32), axis
