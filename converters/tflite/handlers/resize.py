"""Resize as RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Resize
from converters.tflite.context import NHWC, Context, usual
from converters.tflite.opcodes import RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR


def write(context: Context, node: Node, resize: Resize) -> None:
    options = (
        schema.ResizeBilinearOptionsT() if resize.linear else schema.ResizeNearestNeighborOptionsT()
    )
    options.alignCorners = resize.grid == "align_corners"
    options.halfPixelCenters = resize.grid == "half_pixel"
    inputs = [
        context.in_order(node.inputs[0], NHWC),
        context.numbers_of(f"{node.name}/size", resize.size),
    ]
    opcode = RESIZE_BILINEAR if resize.linear else RESIZE_NEAREST_NEIGHBOR
    context.emit(node, opcode, inputs, usual(context.shape(node.output)), options)
