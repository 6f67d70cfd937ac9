"""Reshape as nothing between an image and its vector, else as RESHAPE."""

from __future__ import annotations

from converters.graph import Node
from converters.operators import Reshape
from converters.tflite.context import Context


def write(context: Context, node: Node, _: Reshape) -> None:
    (source,) = node.inputs
    if context.placed[source].shape == context.placed[node.output].shape:
        context.tensors[node.output] = context.tensors[source]
        return
    context.reshape(context.tensors[source], context.output(node))
