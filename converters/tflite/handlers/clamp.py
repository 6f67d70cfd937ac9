"""A clamp that no operator before it carries."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import INFINITY, Clamp
from converters.tflite.context import Context
from converters.tflite.opcodes import RELU, RELU6, REQUANTIZE

# RELU_N1_TO_1 has no int8 kernel of its own.
OPCODES = {Clamp(0.0, INFINITY): RELU, Clamp(0.0, 6.0): RELU6}


def write(context: Context, node: Node, clamp: Clamp) -> None:
    """Write RELU or RELU6; any other is a change of scale that saturates, or two comparisons."""
    held = context.held[node.inputs[0]]
    if clamp in OPCODES:
        context.emit(node, OPCODES[clamp], [held.tensor], held.placed)
        return
    params = context.numbers.params(node.output)
    output = context.add_value(node.output, held.placed)
    source = held.tensor if params is not None else context.real(held.tensor)
    if params is not None:
        saturates = params.saturates_at(clamp.low, clamp.high)
        scaled = output
        if not saturates:
            scaled = context.builder.like(output, f"{node.output}/scaled", held.placed.dims)
        context.builder.operator(REQUANTIZE, [source], scaled, schema.QuantizeOptionsT())
        if saturates:
            return
        source = scaled
    context.clamp(clamp, source, output, node.output)
