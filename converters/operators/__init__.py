"""The closed set of operators that a Graph is made of.

Each is a frozen value: its attributes, its constants, and the shape that it gives. Layout is
ONNX's: images [N, C, H, W]; convolution weights [O, I/groups, kH, kW]. Arrays held here are
float32 and are never written to.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from converters.operators.elementwise import (
    INFINITY,
    Abs,
    Add,
    Affine,
    Binary,
    Clamp,
    Div,
    Elu,
    Erf,
    Exp,
    Gelu,
    HardSwish,
    LeakyRelu,
    Log,
    Maximum,
    Minimum,
    Mul,
    Pow,
    PRelu,
    Rsqrt,
    Sigmoid,
    Sqrt,
    Sub,
    Tanh,
    Unary,
)
from converters.operators.linear import Gemm, MatMul
from converters.operators.move import (
    Concat,
    Constant,
    DepthToSpace,
    Expand,
    Gather,
    Pad,
    Requantize,
    Reshape,
    Slice,
    SpaceToDepth,
    Tile,
    Transpose,
)
from converters.operators.reduce import (
    LogSoftmax,
    Reduce,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Softmax,
)
from converters.operators.shapes import Pads, Pair, Shape, broadcast, window_output
from converters.operators.window import AveragePool, Conv, GlobalAveragePool, MaxPool, Resize

__all__ = [
    "INFINITY",
    "Abs",
    "Add",
    "Affine",
    "AveragePool",
    "Binary",
    "Clamp",
    "Clamped",
    "Concat",
    "Constant",
    "Conv",
    "DepthToSpace",
    "Div",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Maximum",
    "Minimum",
    "Mul",
    "Operator",
    "PRelu",
    "Pad",
    "Pads",
    "Pair",
    "Pow",
    "Reduce",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Requantize",
    "Reshape",
    "Resize",
    "Rsqrt",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Sqrt",
    "Sub",
    "Tanh",
    "Tile",
    "Transpose",
    "Unary",
    "Weighted",
    "broadcast",
    "clamp_of",
    "multiply_adds",
    "window_output",
]

# The operators with a weight and a bias of their own, `weight` and `bias`.
Weighted: TypeAlias = Affine | Conv | Gemm
# The operators that end in a clamp when one follows them.
Clamped: TypeAlias = Conv | Gemm | Add | Sub | Mul | Div
Operator: TypeAlias = (
    Clamped
    | Affine
    | AveragePool
    | Binary
    | Clamp
    | Concat
    | Constant
    | DepthToSpace
    | Expand
    | Gather
    | GlobalAveragePool
    | LogSoftmax
    | MatMul
    | MaxPool
    | PRelu
    | Pad
    | Reduce
    | Requantize
    | Reshape
    | Resize
    | Slice
    | Softmax
    | SpaceToDepth
    | Tile
    | Transpose
    | Unary
)


def clamp_of(operator: Operator) -> Clamp | None:
    """Return the clamp that an operator carries, None where it carries none."""
    return operator.clamp if isinstance(operator, Clamped) else None


def multiply_adds(operator: Operator, output: Shape) -> int:
    """Return the multiply-accumulate operations of one inference (convolutions and Gemm only)."""
    if isinstance(operator, Conv):
        return int(np.prod(operator.weight.shape)) * math.prod(output[2:])
    if isinstance(operator, Gemm):
        return int(np.prod(operator.weight.shape)) * math.prod(output[:-1])
    return 0
