"""Concat as CONCATENATION."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Concat
from converters.tflite.context import Context, in_order
from converters.tflite.opcodes import CONCATENATION


def write(context: Context, node: Node, concat: Concat) -> None:
    """All inputs lie as most of them do."""
    orders = [context.order(name) for name in node.inputs if not context.is_constant(name)]
    order = max(orders, key=orders.count)
    options = schema.ConcatenationOptionsT()
    options.axis = order.index(concat.axis)
    inputs = [context.in_order(name, order) for name in node.inputs]
    context.emit(node, CONCATENATION, inputs, in_order(context.shape(node.output), order), options)
