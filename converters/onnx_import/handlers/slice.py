"""Slice with constant bounds and steps forward."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Slice


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    rank = len(x.shape)
    starts, stops = node.whole_numbers(1), node.whole_numbers(2)
    if starts is None or stops is None or len(starts) != len(stops):
        raise RefusedError("its starts and ends are not lists of one length")
    axes = node.whole_numbers(3) or list(range(len(starts)))
    steps = node.whole_numbers(4) or [1] * len(starts)
    if not len(axes) == len(steps) == len(starts):
        raise RefusedError("its starts, axes and steps are not lists of one length")
    places = tuple(node.axis(axis, rank) for axis in axes)
    kept = []
    for axis, start, stop, step in zip(places, starts, stops, steps, strict=True):
        if step < 1:
            raise RefusedError(f"a step of {step}; only steps forward are supported")
        first, last, _ = slice(start, stop, step).indices(x.shape[axis])
        if first >= last:
            raise RefusedError(f"{start} to {stop} of an axis of {x.shape[axis]} is empty")
        if (first, last, step) != (0, x.shape[axis], 1):
            kept.append((axis, first, last, step))
    if not kept:
        return x
    axes_kept, firsts, lasts, steps_kept = zip(*kept, strict=True)
    return node.emit(Slice(axes_kept, firsts, lasts, steps_kept), x)
