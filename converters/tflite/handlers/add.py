"""Add as ADD."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Add
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

ADD = Opcode(schema.BuiltinOperator.ADD, 2)


def write(context: Context, node: Node, add: Add) -> None:
    options = schema.AddOptionsT()
    options.fusedActivationFunction = context.fused_activation(node, add.clamp)
    context.builder.operator(ADD, context.inputs(node), context.output(node), options)
