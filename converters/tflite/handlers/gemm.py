"""Gemm as the CONV_2D whose kernel is as large as its input.

FULLY_CONNECTED reads a scale for each output channel only from its version 12 on, which
tflite-runtime does not have; every runtime's CONV_2D does, and it takes a flattened image as the
image that it is.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Gemm
from converters.tflite.context import Context
from converters.tflite.handlers.conv import CONV_2D


def write(context: Context, node: Node, gemm: Gemm) -> None:
    _, height, width, channels = context.placed[node.inputs[0]].shape
    integers = context.quantized.weights[node.name].weight
    # [O, C * H * W] -> [O, H, W, C]
    kernel = integers.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = 1
    options.fusedActivationFunction = context.fused_activation(node, gemm.clamp)
    inputs = [*context.inputs(node), *context.weights(node, kernel, axis=0)]
    context.builder.operator(CONV_2D, inputs, context.output(node), options)
