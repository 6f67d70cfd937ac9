"""MatMul of two activations as BATCH_MATMUL."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import MatMul
from converters.tflite.context import Context, in_order
from converters.tflite.layout import moves
from converters.tflite.opcodes import BATCH_MATMUL


def write(context: Context, node: Node, _: MatMul) -> None:
    """A matrix whose columns lie one behind the other is read as what it is, transposed."""
    options = schema.BatchMatMulOptionsT()
    a, options.adjX = _matrix(context, node.inputs[0])
    b, options.adjY = _matrix(context, node.inputs[1])
    shape = context.shape(node.output)
    context.emit(node, BATCH_MATMUL, [a, b], in_order(shape, range(len(shape))), options)


def _matrix(context: Context, value: str) -> tuple[int, bool]:
    """Return the tensor of a matrix, and whether it lies transposed."""
    shape = context.shape(value)
    rank = len(shape)
    straight = tuple(range(rank))
    turned = (*straight[:-2], rank - 1, rank - 2)
    if context.is_constant(value):
        return context.in_order(value, straight), False
    layout = context.placed(value).layout
    if moves(layout, in_order(shape, straight).layout) and not moves(
        layout, in_order(shape, turned).layout
    ):
        return context.in_order(value, turned), True
    return context.in_order(value, straight), False
