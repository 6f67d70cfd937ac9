"""How each operator may be quantized: facts about the kernels, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from converters.operators import (
    Add,
    AveragePool,
    Clamp,
    Conv,
    Gemm,
    GlobalAveragePool,
    MaxPool,
    Operator,
    Reshape,
    Softmax,
)
from converters.quantize.params import QuantParams


class Tie(Enum):
    """Where the parameters of an output come from."""

    OBSERVED = "its own observed range"
    TO_INPUT = "those of its input"


@dataclass(frozen=True, slots=True)
class OpRule:
    """`weight_axis`: the axis with a scale for each channel; `fixed`: the only allowed output."""

    output: Tie = Tie.OBSERVED
    weight_axis: int | None = None
    fixed: QuantParams | None = None


QUANT_RULES: Mapping[type[Operator], OpRule] = {
    Conv: OpRule(weight_axis=0),
    Gemm: OpRule(weight_axis=0),
    Add: OpRule(),
    Clamp: OpRule(),
    GlobalAveragePool: OpRule(),
    # TFLite's average_pool.cc demands equal parameters; its kernel sums and divides integers.
    AveragePool: OpRule(output=Tie.TO_INPUT),
    MaxPool: OpRule(output=Tie.TO_INPUT),  # the kernel copies, it cannot rescale
    Reshape: OpRule(output=Tie.TO_INPUT),  # the bytes stay where they are
    # TFLite's activations.cc demands 1/256 and -128 for int8: probabilities from 0 to 255/256.
    Softmax: OpRule(fixed=QuantParams((1 / 256,), (-128,))),
}

# XNNPACK's int8 kernels hold the requantization factor input_scale * weight_scale / output_scale
# of a convolution below 256, and the input_scale / output_scale of an Add below 256 as well.
MAX_CONV_FACTOR = 256.0
MAX_ADD_FACTOR = 256.0
# A sum in steps of the output, before it saturates, is an int32 too: XNNPACK adds the zero point to
# it, and TFLite's own kernel first multiplies by the power of two above the factor.
MAX_CONV_STEPS = 2.0**30
# Of a clamp that stands alone: TFLite's RELU, RELU6 and QUANTIZE multiply an input, up to 255 away
# from its zero point, by the power of two above input_scale / output_scale, in int32.
MAX_CLAMP_FACTOR = 2.0**16
# ONNX Runtime's and XNNPACK's means hold input_scale / (output_scale * pixels) below 256.
MAX_MEAN_FACTOR = 256.0
