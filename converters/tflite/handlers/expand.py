"""Expand and Tile as BROADCAST_TO and TILE."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Expand, Tile
from converters.tflite.context import Context, in_order
from converters.tflite.opcodes import BROADCAST_TO, TILE


def expand(context: Context, node: Node, operator: Expand) -> None:
    (source,) = node.inputs
    order = context.order(source)
    sides = [operator.shape[axis] for axis in order]
    inputs = [context.in_order(source, order), context.numbers_of(f"{node.name}/shape", sides)]
    placed = in_order(operator.shape, order)
    context.emit(node, BROADCAST_TO, inputs, placed, schema.BroadcastToOptionsT())


def tile(context: Context, node: Node, operator: Tile) -> None:
    (source,) = node.inputs
    order = context.order(source)
    repeats = [operator.repeats[axis] for axis in order]
    inputs = [context.in_order(source, order), context.numbers_of(f"{node.name}/repeats", repeats)]
    context.emit(
        node, TILE, inputs, in_order(context.shape(node.output), order), schema.TileOptionsT()
    )
