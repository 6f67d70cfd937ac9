"""A clamp that no operator before it carries."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Clamp
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

ACTIVATION_OPCODES = {
    schema.ActivationFunctionType.RELU: Opcode(schema.BuiltinOperator.RELU, 2),
    schema.ActivationFunctionType.RELU6: Opcode(schema.BuiltinOperator.RELU6, 2),
}
QUANTIZE = Opcode(schema.BuiltinOperator.QUANTIZE, 2)


def write(context: Context, node: Node, clamp: Clamp) -> None:
    """Write RELU or RELU6; any other clamp is a change of scale that saturates at its limits."""
    # RELU_N1_TO_1 has no int8 kernel of its own; its limits are those of its output's integers.
    opcode = ACTIVATION_OPCODES.get(context.fused_activation(node, clamp), QUANTIZE)
    context.builder.operator(opcode, context.inputs(node), context.output(node))
