"""Gather along an axis as GATHER."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Gather
from converters.tflite.context import Context, in_order
from converters.tflite.opcodes import GATHER


def write(context: Context, node: Node, gather: Gather) -> None:
    """Indices of more than one axis put as many axes in the place of one: ONNX's own order."""
    (source,) = node.inputs
    shape = context.shape(node.output)
    rank = len(context.shape(source))
    order = context.order(source) if gather.indices.ndim == 1 else tuple(range(rank))
    out_order = order if gather.indices.ndim == 1 else tuple(range(len(shape)))
    options = schema.GatherOptionsT()
    options.axis = order.index(gather.axis)
    options.batchDims = 0
    inputs = [
        context.in_order(source, order),
        context.numbers_of(f"{node.name}/indices", gather.indices),
    ]
    context.emit(node, GATHER, inputs, in_order(shape, out_order), options)
