"""Functions of each value: the output lies as the input does."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import (
    Abs,
    Elu,
    Exp,
    Gelu,
    HardSwish,
    LeakyRelu,
    Log,
    Operator,
    Requantize,
    Rsqrt,
    Sigmoid,
    Sqrt,
    Tanh,
)
from converters.tflite.builder import Opcode
from converters.tflite.context import Context
from converters.tflite.opcodes import (
    ABS,
    ELU,
    EXP,
    GELU,
    HARD_SWISH,
    LEAKY_RELU,
    LOG,
    LOGISTIC,
    QUANTIZE,
    REQUANTIZE,
    RSQRT,
    SQRT,
    TANH,
)

OPCODES: dict[type[Operator], Opcode] = {
    Abs: ABS,
    Elu: ELU,
    Exp: EXP,
    Gelu: GELU,
    HardSwish: HARD_SWISH,
    LeakyRelu: LEAKY_RELU,
    Log: LOG,
    Requantize: REQUANTIZE,
    Rsqrt: RSQRT,
    Sigmoid: LOGISTIC,
    Sqrt: SQRT,
    Tanh: TANH,
}


def write(context: Context, node: Node, operator: Operator) -> None:
    held = context.held[node.inputs[0]]
    opcode = OPCODES[type(operator)]
    if isinstance(operator, Requantize) and context.numbers.params(node.inputs[0]) is None:
        opcode = QUANTIZE
    context.emit(node, opcode, [held.tensor], held.placed, _options(operator))


def _options(operator: Operator) -> Any:  # noqa: ANN401 (one of the schema's option classes)
    if isinstance(operator, Gelu):
        options = schema.GeluOptionsT()
        options.approximate = operator.tanh
        return options
    if isinstance(operator, LeakyRelu):
        leaky = schema.LeakyReluOptionsT()
        leaky.alpha = operator.slope
        return leaky
    return None
