"""Gather along an axis at constant places."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Gather, Reshape, Slice


def convert(node: SourceNode) -> Activation:
    """One place alone is a slice."""
    x = node.activation(0)
    axis = node.axis(node.attribute("axis", 0), len(x.shape))
    indices = node.constant(1)
    if indices is None or indices.dtype.kind != "i":
        raise RefusedError("its places are not whole numbers")
    side = x.shape[axis]
    places = np.where(indices < 0, indices + side, indices).astype(np.int64)
    if places.size and not 0 <= places.min() <= places.max() < side:
        raise RefusedError(f"places {places.min()} to {places.max()} of an axis of {side}")
    if places.size == 1:
        at = int(places.reshape(()))
        shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
        one = (
            x
            if side == 1
            else node.emit(
                Slice((axis,), (at,), (at + 1,), (1,)), x, step="" if places.ndim == 1 else "one"
            )
        )
        return one if one.shape == shape else node.emit(Reshape(shape), one)
    return node.emit(Gather(axis, places), x)
