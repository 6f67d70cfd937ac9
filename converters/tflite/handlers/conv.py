"""Conv as CONV_2D or DEPTHWISE_CONV_2D."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Conv
from converters.tflite import padding
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

CONV_2D = Opcode(schema.BuiltinOperator.CONV_2D, 3)
DEPTHWISE_CONV_2D = Opcode(schema.BuiltinOperator.DEPTHWISE_CONV_2D, 3)


def write(context: Context, node: Node, conv: Conv) -> None:
    x = context.graph.shapes[node.inputs[0]]
    pads = padding.choose(x, conv.kernel, conv.strides, conv.pads, conv.dilations)
    source = context.padded(node, pads.explicit)
    integers = context.quantized.weights[node.name].weight
    if conv.is_depthwise:
        # [O, 1, kH, kW] -> [1, kH, kW, O]
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = conv.weight.shape[0] // conv.groups
        constants = context.weights(node, integers.transpose(1, 2, 3, 0), axis=3)
        opcode = DEPTHWISE_CONV_2D
    else:
        # [O, I, kH, kW] -> [O, kH, kW, I]
        options = schema.Conv2DOptionsT()
        constants = context.weights(node, integers.transpose(0, 2, 3, 1), axis=0)
        opcode = CONV_2D
    options.padding = pads.scheme
    options.strideH, options.strideW = conv.strides
    options.dilationHFactor, options.dilationWFactor = conv.dilations
    options.fusedActivationFunction = context.fused_activation(node, conv.clamp)
    context.builder.operator(opcode, [source, *constants], context.output(node), options)
