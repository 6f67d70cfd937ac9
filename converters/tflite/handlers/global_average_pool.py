"""GlobalAveragePool as MEAN over height and width.

XNNPACK takes an int8 MEAN that keeps its dimensions; it has no int8 AVERAGE_POOL_2D.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import GlobalAveragePool
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

MEAN = Opcode(schema.BuiltinOperator.MEAN, 2)


def write(context: Context, node: Node, _: GlobalAveragePool) -> None:
    options = schema.ReducerOptionsT()
    options.keepDims = True
    axes = context.builder.constant(f"{node.name}/axes", np.asarray([1, 2], np.int32))
    inputs = [*context.inputs(node), axes]
    context.builder.operator(MEAN, inputs, context.output(node), options)
