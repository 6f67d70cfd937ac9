"""Softmax and LogSoftmax along the last axis in memory."""

from __future__ import annotations

import math

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import LogSoftmax, Softmax
from converters.tflite.context import Context, Placed, in_order
from converters.tflite.opcodes import LOG_SOFTMAX, SOFTMAX


def write(context: Context, node: Node, operator: Softmax | LogSoftmax) -> None:
    (source,) = node.inputs
    shape, placed = context.shape(source), context.placed(source)
    side = shape[operator.axis]
    if not placed.layout.ends_with(operator.axis):
        others = [axis for axis in context.order(source) if axis != operator.axis]
        placed = in_order(shape, (*others, operator.axis))
    if not placed.dims or placed.dims[-1] != side:
        placed = Placed((math.prod(shape) // side, side), placed.layout)
    tensor = context.brought(source, placed)
    if isinstance(operator, LogSoftmax):
        context.emit(node, LOG_SOFTMAX, [tensor], placed, schema.LogSoftmaxOptionsT())
        return
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    context.emit(node, SOFTMAX, [tensor], placed, options)
