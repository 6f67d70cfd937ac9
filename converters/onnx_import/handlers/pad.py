"""Pad by constant amounts, with a value or mirrored."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Pad, Slice


def convert(node: SourceNode) -> Activation:
    """Amounts below zero cut away: first they do, then the rest pads."""
    x = node.activation(0)
    rank = len(x.shape)
    amounts = node.whole_numbers(1)
    places = node.axes(3, 18, rank) or tuple(range(rank))
    if amounts is None or len(amounts) != 2 * len(places):
        raise RefusedError(f"pads {amounts} for {len(places)} axes")
    before, after = [0] * rank, [0] * rank
    for index, axis in enumerate(places):
        before[axis], after[axis] = amounts[index], amounts[index + len(places)]
    mode = node.attribute("mode", "constant")
    if mode not in ("constant", "reflect"):
        raise RefusedError(f"mode {mode!r} has no TFLite form; allowed: constant, reflect")
    if mode == "reflect" and any(
        max(b, a) >= side + min(b, 0) + min(a, 0)
        for b, a, side in zip(before, after, x.shape, strict=True)
    ):
        raise RefusedError(f"pads {amounts} mirror more than the input {x.shape} has")
    value = node.scalar(2, 0.0)
    cut = [axis for axis in range(rank) if min(before[axis], after[axis]) < 0]
    if cut:
        starts = tuple(max(0, -before[axis]) for axis in cut)
        stops = tuple(x.shape[axis] - max(0, -after[axis]) for axis in cut)
        step = "cut" if max(*before, *after) > 0 else ""
        x = node.emit(Slice(tuple(cut), starts, stops, (1,) * len(cut)), x, step=step)
        if not step:
            return x
    front, back = (tuple(max(0, amount) for amount in amounts) for amounts in (before, after))
    if not any(front + back):
        return x
    return node.emit(Pad(front, back, value, mode), x)
