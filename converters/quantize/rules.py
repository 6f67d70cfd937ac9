"""How each operator may be quantized: facts about the kernels, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from converters.operators import (
    Abs,
    Add,
    Affine,
    AveragePool,
    Clamp,
    Concat,
    Constant,
    Conv,
    DepthToSpace,
    Div,
    Elu,
    Erf,
    Exp,
    Expand,
    Gather,
    Gelu,
    Gemm,
    GlobalAveragePool,
    HardSwish,
    LeakyRelu,
    Log,
    LogSoftmax,
    MatMul,
    Maximum,
    MaxPool,
    Minimum,
    Mul,
    Operator,
    Pad,
    Pow,
    PRelu,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Requantize,
    Reshape,
    Resize,
    Rsqrt,
    Sigmoid,
    Slice,
    Softmax,
    SpaceToDepth,
    Sqrt,
    Sub,
    Tanh,
    Tile,
    Transpose,
)
from converters.quantize.params import QuantParams


class Tie(Enum):
    """Where the parameters of an output come from."""

    OBSERVED = "its own observed range"
    TO_INPUT = "those of its input"


@dataclass(frozen=True, slots=True)
class OpRule:
    """How an operator is quantized.

    `weight_axis`: the axis with a scale for each channel; `fixed`: the only allowed output;
    `same_inputs`: its inputs must have the output's parameters; `in_float`: TFLite has no int8
    kernel, so that it is computed in float32 between the integers of its inputs and output.
    """

    output: Tie = Tie.OBSERVED
    weight_axis: int | None = None
    fixed: QuantParams | None = None
    same_inputs: bool = False
    in_float: bool = False


COPIED = OpRule(output=Tie.TO_INPUT)  # the bytes are moved, not computed with

QUANT_RULES: Mapping[type[Operator], OpRule] = {
    Affine: OpRule(weight_axis=0),
    Conv: OpRule(weight_axis=0),
    Gemm: OpRule(weight_axis=0),
    Abs: OpRule(),
    Add: OpRule(),
    Clamp: OpRule(),
    Constant: OpRule(),
    Elu: OpRule(),
    Erf: OpRule(in_float=True),
    Exp: OpRule(),
    Gelu: OpRule(),
    GlobalAveragePool: OpRule(),
    HardSwish: OpRule(),
    LeakyRelu: OpRule(),
    MatMul: OpRule(),
    Mul: OpRule(),
    PRelu: OpRule(),
    ReduceMean: OpRule(),
    ReduceSum: OpRule(),
    Requantize: OpRule(),
    Rsqrt: OpRule(),
    Sub: OpRule(),
    Div: OpRule(in_float=True),
    Log: OpRule(in_float=True),  # an int8 kernel came after tflite-runtime's last
    Pow: OpRule(in_float=True),
    Sqrt: OpRule(in_float=True),
    # TFLite's average_pool.cc demands equal parameters; its kernel sums and divides integers.
    AveragePool: COPIED,
    DepthToSpace: COPIED,
    Expand: COPIED,
    Gather: COPIED,
    MaxPool: COPIED,
    Pad: COPIED,
    ReduceMax: COPIED,
    ReduceMin: COPIED,
    Reshape: COPIED,
    Resize: COPIED,  # resize_bilinear.cc interpolates the integers
    Slice: COPIED,
    SpaceToDepth: COPIED,
    Tile: COPIED,
    Transpose: COPIED,
    # concatenation.cc demands one scale; maximum_minimum.cc compares the integers.
    Concat: OpRule(same_inputs=True),
    Maximum: OpRule(same_inputs=True),
    Minimum: OpRule(same_inputs=True),
    # TFLite's activations.cc demands 1/256 and -128 for int8: probabilities from 0 to 255/256;
    # 1/128 and 0 for tanh; 16/256 and 127 for logarithms of probabilities.
    LogSoftmax: OpRule(fixed=QuantParams((16 / 256,), (127,))),
    Sigmoid: OpRule(fixed=QuantParams((1 / 256,), (-128,))),
    Softmax: OpRule(fixed=QuantParams((1 / 256,), (-128,))),
    Tanh: OpRule(fixed=QuantParams((1 / 128,), (0,))),
}

# A pad of another value than 0 must lie in the range of what it pads.
PADDED = OpRule(same_inputs=True)


def rule_of(operator: Operator) -> OpRule:
    """Return how an operator is quantized."""
    if isinstance(operator, Pad) and operator.value != 0.0:
        return PADDED
    return QUANT_RULES[type(operator)]


# XNNPACK's int8 kernels hold the requantization factor input_scale * weight_scale / output_scale
# of a convolution below 256.
MAX_CONV_FACTOR = 256.0
# A sum in steps of the output, before it saturates, is an int32 too: XNNPACK adds the zero point to
# it, and TFLite's own kernel first multiplies by the power of two above the factor.
MAX_CONV_STEPS = 2.0**30
# Of a clamp that stands alone: TFLite's RELU, RELU6 and QUANTIZE multiply an input, up to 255 away
# from its zero point, by the power of two above input_scale / output_scale, in int32.
MAX_CLAMP_FACTOR = 2.0**16
# The sum of an Add must not leave 16 bits, in which TFLite's own kernel adds the zero point:
# 255 * (2^6 + 2^6) steps of the output. XNNPACK, where it has both input_scale / output_scale
# below 2^8, and Sub allow more, but an output that fine only repeats the inputs' rounding.
MAX_ADD_FACTOR = 2.0**6
# As for Add: the product of two inputs, 255 * 255 times the factor, must not leave 16 bits.
MAX_MUL_FACTOR = 0.5
# ONNX Runtime's and XNNPACK's means hold input_scale / (output_scale * pixels) below 256.
MAX_MEAN_FACTOR = 256.0
# TFLite's activations.cc computes a hard-swish with 7 bits below the input's steps, and refuses a
# factor from there to the output of 1 or more.
MAX_HARD_SWISH_FACTOR = 2.0**7
