"""Gemm as FULLY_CONNECTED."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Gemm
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

# Version 12 is the first whose kernel reads a scale for each output channel.
FULLY_CONNECTED = Opcode(schema.BuiltinOperator.FULLY_CONNECTED, 12)


def write(context: Context, node: Node, gemm: Gemm) -> None:
    integers = context.quantized.weights[node.name].weight
    order = context.placed[node.inputs[0]].column_order()
    if order is not None:
        # The vector is an image in NHWC order: take the columns as they lie there.
        integers = np.ascontiguousarray(integers[:, order])
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = context.fused_activation(node, gemm.clamp)
    constants = context.weights(node, integers, axis=0)
    inputs = [*context.inputs(node), *constants]
    context.builder.operator(FULLY_CONNECTED, inputs, context.output(node), options)
