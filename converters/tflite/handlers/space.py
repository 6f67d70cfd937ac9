"""DepthToSpace and SpaceToDepth, whose blocks TFLite orders as ONNX's DCR does."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import DepthToSpace, SpaceToDepth
from converters.tflite.context import NHWC, Context, usual
from converters.tflite.opcodes import DEPTH_TO_SPACE, SPACE_TO_DEPTH


def depth_to_space(context: Context, node: Node, operator: DepthToSpace) -> None:
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = operator.block
    source = context.in_order(node.inputs[0], NHWC)
    context.emit(node, DEPTH_TO_SPACE, [source], usual(context.shape(node.output)), options)


def space_to_depth(context: Context, node: Node, operator: SpaceToDepth) -> None:
    options = schema.SpaceToDepthOptionsT()
    options.blockSize = operator.block
    source = context.in_order(node.inputs[0], NHWC)
    context.emit(node, SPACE_TO_DEPTH, [source], usual(context.shape(node.output)), options)
