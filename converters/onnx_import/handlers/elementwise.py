"""Functions of each value that need no parameter but the node's own."""

from __future__ import annotations

from collections.abc import Mapping

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import (
    Abs,
    Elu,
    Erf,
    Exp,
    HardSwish,
    LeakyRelu,
    Log,
    Sigmoid,
    Sqrt,
    Tanh,
    Unary,
)

FUNCTIONS: Mapping[str, Unary] = {
    "Abs": Abs(),
    "Erf": Erf(),
    "Exp": Exp(),
    "HardSwish": HardSwish(),
    "Log": Log(),
    "Sigmoid": Sigmoid(),
    "Sqrt": Sqrt(),
    "Tanh": Tanh(),
}


def convert(node: SourceNode) -> Activation:
    return node.emit(FUNCTIONS[node.op_type], node.activation(0))


def elu(node: SourceNode) -> Activation:
    alpha = node.attribute("alpha", 1.0)
    if alpha != 1.0:
        raise RefusedError(f"alpha {alpha:g} has no TFLite form; only 1 has")
    return node.emit(Elu(), node.activation(0))


def leaky_relu(node: SourceNode) -> Activation:
    return node.emit(LeakyRelu(node.attribute("alpha", 0.01)), node.activation(0))
