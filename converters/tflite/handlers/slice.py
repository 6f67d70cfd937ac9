"""Slice as STRIDED_SLICE."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Slice
from converters.tflite.context import Context, in_order
from converters.tflite.opcodes import STRIDED_SLICE


def write(context: Context, node: Node, part: Slice) -> None:
    (source,) = node.inputs
    shape, order = context.shape(source), context.order(source)
    starts, stops, steps = [0] * len(shape), list(shape), [1] * len(shape)
    for axis, start, stop, step in zip(part.axes, part.starts, part.stops, part.steps, strict=True):
        starts[axis], stops[axis], steps[axis] = start, stop, step
    inputs = [context.in_order(source, order)]
    for name, values in (("starts", starts), ("stops", stops), ("steps", steps)):
        in_memory = [values[axis] for axis in order]
        inputs.append(context.numbers_of(f"{node.name}/{name}", in_memory))
    options = schema.StridedSliceOptionsT()
    options.beginMask = options.endMask = options.ellipsisMask = 0
    options.newAxisMask = options.shrinkAxisMask = 0
    context.emit(node, STRIDED_SLICE, inputs, in_order(context.shape(node.output), order), options)
