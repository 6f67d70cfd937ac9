"""Reshape and Transpose, which move nothing until somebody needs another order."""

from __future__ import annotations

from converters.graph import Node
from converters.operators import Reshape, Transpose
from converters.tflite.context import Context, Held, Placed
from converters.tflite.layout import plain


def reshape(context: Context, node: Node, operator: Reshape) -> None:
    """Where the new axes cut across what lies together, memory becomes ONNX's own order first."""
    (source,) = node.inputs
    held = context.held[source]
    layout = held.placed.layout.reshaped(operator.shape)
    tensor, dims = held.tensor, held.placed.dims
    if layout is None:
        before = context.shape(source)
        tensor, dims = context.brought(source, Placed(before, plain(before))), before
        layout = plain(operator.shape)
    context.held[node.output] = Held(tensor, Placed(dims, layout))


def transpose(context: Context, node: Node, operator: Transpose) -> None:
    held = context.held[node.inputs[0]]
    layout = held.placed.layout.transposed(operator.order)
    context.held[node.output] = Held(held.tensor, Placed(held.placed.dims, layout))
