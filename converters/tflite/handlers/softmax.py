"""Softmax as SOFTMAX."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Softmax
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

SOFTMAX = Opcode(schema.BuiltinOperator.SOFTMAX, 2)


def write(context: Context, node: Node, _: Softmax) -> None:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    context.builder.operator(SOFTMAX, context.inputs(node), context.output(node), options)
