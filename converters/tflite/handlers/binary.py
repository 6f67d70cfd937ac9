"""Operators of two values whose shapes broadcast."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import (
    Add,
    Binary,
    Div,
    Maximum,
    Minimum,
    Mul,
    Operator,
    Pow,
    PRelu,
    Shape,
    Sub,
)
from converters.tflite.builder import Opcode
from converters.tflite.context import Context, Placed, usual
from converters.tflite.layout import Layout, beside, default, projected
from converters.tflite.opcodes import ADD, DIV, MAXIMUM, MINIMUM, MUL, POW, PRELU, SUB

OPCODES: dict[type[Operator], tuple[Opcode, Any]] = {
    Add: (ADD, schema.AddOptionsT),
    Div: (DIV, schema.DivOptionsT),
    Maximum: (MAXIMUM, schema.MaximumMinimumOptionsT),
    Minimum: (MINIMUM, schema.MaximumMinimumOptionsT),
    Mul: (MUL, schema.MulOptionsT),
    PRelu: (PRELU, None),
    Pow: (POW, schema.PowOptionsT),
    Sub: (SUB, schema.SubOptionsT),
}


def write(context: Context, node: Node, operator: Binary) -> None:
    """Where one of the inputs has the output's shape, the other is brought beside it."""
    shape = context.shape(node.output)
    placed = _lead(context, node, shape)
    aligned = [(1,) * (len(shape) - len(s)) + s for s in map(context.shape, node.inputs)]
    dims = [beside(placed.dims, placed.layout, one) for one in aligned]
    if None in dims:
        placed = Placed(placed.layout.sizes, placed.layout)
        dims = [beside(placed.dims, placed.layout, one) for one in aligned]
    inputs = []
    for name, one, cut in zip(node.inputs, aligned, dims, strict=True):
        layout = projected(placed.layout, one)
        rank = len(context.shape(name))
        own = Layout(layout.sizes, layout.axes[len(one) - rank :])
        inputs.append(context.brought(name, Placed(cut or (), own)))
    opcode, options = OPCODES[type(operator)]
    context.emit(node, opcode, inputs, placed, options and options())


def _lead(context: Context, node: Node, shape: Shape) -> Placed:
    """Return how the output lies: as an input of its shape, best as one in the usual layout."""
    found = [
        context.placed(name)
        for name in node.inputs
        if context.shape(name) == shape and not context.is_constant(name)
    ]
    found.sort(key=lambda placed: placed.layout != default(shape))
    return found[0] if found else usual(shape)
