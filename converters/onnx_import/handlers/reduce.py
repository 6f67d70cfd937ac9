"""ReduceMean, ReduceSum, ReduceMax and ReduceMin over constant axes."""

from __future__ import annotations

from collections.abc import Mapping

from converters.onnx_import.source import Activation, SourceNode
from converters.operators import (
    Abs,
    GlobalAveragePool,
    Mul,
    Reduce,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Reshape,
    Sqrt,
)

KINDS: Mapping[str, type[Reduce]] = {
    "ReduceMax": ReduceMax,
    "ReduceMean": ReduceMean,
    "ReduceMin": ReduceMin,
    "ReduceSum": ReduceSum,
}
# The opset from which on the axes are an input; before it they are an attribute.
AXES_AS_INPUT = {"ReduceSum": 13}


def convert(node: SourceNode) -> Activation:
    """The mean over height and width is a global average pool."""
    x = node.activation(0)
    rank = len(x.shape)
    axes = node.axes(1, AXES_AS_INPUT.get(node.op_type, 18), rank)
    if axes is None:
        if node.attribute("noop_with_empty_axes", 0):
            return x
        axes = tuple(range(rank))
    keep = bool(node.attribute("keepdims", 1))
    if node.op_type == "ReduceMean" and rank == 4 and set(axes) == {2, 3}:
        if keep:
            return node.emit(GlobalAveragePool(), x)
        return node.emit(Reshape(x.shape[:2]), node.emit(GlobalAveragePool(), x, step="kept"))
    return node.emit(KINDS[node.op_type](tuple(sorted(axes)), keep), x)


def l2(node: SourceNode) -> Activation:
    """ReduceL2: the square root of the sum of squares."""
    x = node.activation(0)
    rank = len(x.shape)
    axes = node.axes(1, 18, rank)
    if axes is None:
        if node.attribute("noop_with_empty_axes", 0):
            return node.emit(Abs(), x)  # nothing is summed, but the square and its root are
        axes = tuple(range(rank))
    squares = node.emit(Mul(), x, x, step="squares")
    keep = bool(node.attribute("keepdims", 1))
    total = node.emit(ReduceSum(tuple(sorted(axes)), keep), squares, step="total")
    return node.emit(Sqrt(), total)
