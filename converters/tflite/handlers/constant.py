"""Constant: it becomes a tensor where it is read, in the order that is wanted there."""

from __future__ import annotations

from converters.graph import Node
from converters.operators import Constant
from converters.tflite.context import Context


def write(context: Context, node: Node, constant: Constant) -> None:
    context.constants[node.output] = constant
