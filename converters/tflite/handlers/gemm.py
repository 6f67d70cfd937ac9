"""Gemm as the CONV_2D whose kernel is as large as its input, or as one pixel of it.

FULLY_CONNECTED reads a scale for each output channel only from its version 12 on, which
tflite-runtime does not have; every runtime's CONV_2D does, and it takes a flattened image as the
image that it is.
"""

from __future__ import annotations

import math

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Gemm, Shape
from converters.tflite.context import Context, Placed, in_order
from converters.tflite.layout import Layout, canonical
from converters.tflite.opcodes import CONV_2D
from edge.tensors import Array


def write(context: Context, node: Node, gemm: Gemm) -> None:
    (source,) = node.inputs
    shape = context.shape(source)
    last = len(shape) - 1
    placed = context.placed(source)
    if not placed.layout.ends_with(last):
        order = [axis for axis in context.order(source) if axis != last]
        placed = in_order(shape, (*order, last))
    dims = _pixels(placed.dims, math.prod(shape[:-1]), shape[-1])
    kernel = dims[1:] if math.prod(shape[:-1]) == 1 else (1, 1, shape[-1])
    factors, order_in_memory = placed.layout.order_of(last)
    outputs = gemm.weight.shape[0]

    def turn(weight: Array) -> Array:
        """[O, I] -> [O, kH, kW, I'], each row in memory's order."""
        rows = weight.reshape(outputs, *factors)
        return rows.transpose(0, *(axis + 1 for axis in order_in_memory)).reshape(outputs, *kernel)

    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = 1
    options.dilationHFactor = options.dilationWFactor = 1
    tensor = context.brought(source, Placed(dims, placed.layout))
    weights = context.weights(node, turn, axis=0)
    before = (1, 1, 1) if kernel == dims[1:] and math.prod(shape[:-1]) == 1 else dims[:3]
    made = Placed((*before, outputs), _widened(placed.layout, last, outputs))
    context.emit(node, CONV_2D, [tensor, *weights], made, options)


def _pixels(dims: Shape, rows: int, width: int) -> Shape:
    """Return four dimensions for `rows` rows of `width` values: those that are there if they do."""
    if len(dims) == 4 and (dims[0] == 1 if rows == 1 else dims[-1] == width):
        return dims
    return (1, 1, rows, width)


def _widened(layout: Layout, last: int, width: int) -> Layout:
    """Return the layout with the last axis, which is at memory's end, as one of `width` values."""
    count = len(layout.sizes) - len(layout.axes[last])
    sizes = (*layout.sizes[:count], *([width] if width > 1 else []))
    axes = (*layout.axes[:last], (count,) if width > 1 else ())
    return canonical(sizes, axes)
