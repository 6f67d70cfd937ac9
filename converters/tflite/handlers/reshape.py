"""Reshape as RESHAPE, or as nothing where a FULLY_CONNECTED flattens its input itself."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Gemm, Reshape
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

RESHAPE = Opcode(schema.BuiltinOperator.RESHAPE, 1)


def write(context: Context, node: Node, _: Reshape) -> None:
    readers = context.graph.consumers[node.output]
    if node.output not in context.graph.outputs and all(
        isinstance(reader.operator, Gemm) for reader in readers
    ):
        context.tensors[node.output] = context.tensors[node.inputs[0]]
        return
    shape = np.asarray(context.placed[node.output].shape, np.int32)
    options = schema.ReshapeOptionsT()
    options.newShape = shape
    constant = context.builder.constant(f"{node.name}/shape", shape)
    inputs = [*context.inputs(node), constant]
    context.builder.operator(RESHAPE, inputs, context.output(node), options)
