"""Means, sums and extremes over axes, wherever these lie.

XNNPACK takes an int8 MEAN over height and width that keeps its dimensions; it has no int8
AVERAGE_POOL_2D.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import (
    GlobalAveragePool,
    Operator,
    Reduce,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
)
from converters.tflite.builder import Opcode
from converters.tflite.context import Context, Placed
from converters.tflite.layout import Layout, beside, without
from converters.tflite.opcodes import MEAN, REDUCE_MAX, REDUCE_MIN, SUM

OPCODES: dict[type[Operator], Opcode] = {
    GlobalAveragePool: MEAN,
    ReduceMax: REDUCE_MAX,
    ReduceMean: MEAN,
    ReduceMin: REDUCE_MIN,
    ReduceSum: SUM,
}


def write(context: Context, node: Node, operator: GlobalAveragePool | Reduce) -> None:
    """Dimensions are always kept in memory; that an axis is gone is a matter of its name."""
    (source,) = node.inputs
    shape, placed = context.shape(source), context.placed(source)
    axes = (2, 3) if isinstance(operator, GlobalAveragePool) else operator.axes
    kept = tuple(1 if axis in axes else side for axis, side in enumerate(shape))
    dims = beside(placed.dims, placed.layout, kept)
    if dims is None:
        placed = Placed(placed.layout.sizes, placed.layout)
        dims = beside(placed.dims, placed.layout, kept) or ()
    layout = without(placed.layout, axes)
    if isinstance(operator, Reduce) and not operator.keep:
        rest = (places for axis, places in enumerate(layout.axes) if axis not in axes)
        layout = Layout(layout.sizes, tuple(rest))
    tensor = context.brought(source, placed)
    reduced = [at for at, (a, b) in enumerate(zip(placed.dims, dims, strict=True)) if a != b]
    options = schema.ReducerOptionsT()
    options.keepDims = True
    inputs = [tensor, context.numbers_of(f"{node.name}/axes", reduced)]
    context.emit(node, OPCODES[type(operator)], inputs, Placed(dims, layout), options)
