"""Affine along the last axis in memory, as the 1x1 DEPTHWISE_CONV_2D that it is."""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Affine
from converters.tflite.context import Context, Placed, in_order
from converters.tflite.opcodes import DEPTHWISE_CONV_2D


def write(context: Context, node: Node, affine: Affine) -> None:
    """Whatever lies before the channels is the pixels; one gain for all takes any axis for them."""
    (source,) = node.inputs
    placed = context.placed(source)
    if affine.is_uniform:
        order = [0] * (placed.dims or (1,))[-1]
    else:
        placed, order = _along(context, source, affine)
    channels = len(order)
    if len(placed.dims) != 4:
        pixels = math.prod(placed.dims) // channels
        placed = Placed((1, 1, pixels, channels), placed.layout)
    options = schema.DepthwiseConv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = options.depthMultiplier = 1
    options.dilationHFactor = options.dilationWFactor = 1
    tensor = context.brought(source, placed)
    weights = context.weights(node, lambda gain: gain.reshape(1, 1, 1, -1), axis=3, order=order)
    context.emit(node, DEPTHWISE_CONV_2D, [tensor, *weights], placed, options)


def _along(context: Context, source: str, affine: Affine) -> tuple[Placed, list[int]]:
    """Return how the source has to lie for its channels to be last, and their order there."""
    shape = context.shape(source)
    placed = context.placed(source)
    if not placed.layout.ends_with(affine.axis):
        others = [axis for axis in context.order(source) if axis != affine.axis]
        placed = in_order(shape, (*others, affine.axis))
    factors, turned = placed.layout.order_of(affine.axis)
    order = np.arange(shape[affine.axis]).reshape(factors).transpose(turned).ravel().tolist()
    pixels = math.prod(shape) // len(order)
    return Placed((1, 1, pixels, len(order)), placed.layout), order
