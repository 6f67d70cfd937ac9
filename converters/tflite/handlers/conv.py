"""Conv as CONV_2D or DEPTHWISE_CONV_2D."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Conv
from converters.tflite import padding
from converters.tflite.context import Context, usual
from converters.tflite.opcodes import CONV_2D, DEPTHWISE_CONV_2D


def write(context: Context, node: Node, conv: Conv) -> None:
    x = context.shape(node.inputs[0])
    pads = padding.choose(x, conv.kernel, conv.strides, conv.pads, conv.dilations)
    source = context.padded(node, pads.explicit)
    if conv.is_depthwise:
        # [O, 1, kH, kW] -> [1, kH, kW, O]
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = conv.weight.shape[0] // conv.groups
        weights = context.weights(node, lambda weight: weight.transpose(1, 2, 3, 0), axis=3)
        opcode = DEPTHWISE_CONV_2D
    else:
        # [O, I, kH, kW] -> [O, kH, kW, I]
        options = schema.Conv2DOptionsT()
        weights = context.weights(node, lambda weight: weight.transpose(0, 2, 3, 1), axis=0)
        opcode = CONV_2D
    options.padding = pads.scheme
    options.strideH, options.strideW = conv.strides
    options.dilationHFactor, options.dilationWFactor = conv.dilations
    context.emit(node, opcode, [source, *weights], usual(context.shape(node.output)), options)
