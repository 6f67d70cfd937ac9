"""How fine an output's steps may be for the integers' kernels."""

from __future__ import annotations

import math

import numpy as np

from converters.graph import Node
from converters.operators import (
    Add,
    Affine,
    Clamp,
    Conv,
    Gemm,
    GlobalAveragePool,
    HardSwish,
    Mul,
    ReduceMean,
    Sub,
)
from converters.quantize.quantized import QuantizedGraph
from converters.quantize.rules import (
    MAX_ADD_FACTOR,
    MAX_CLAMP_FACTOR,
    MAX_CONV_FACTOR,
    MAX_CONV_STEPS,
    MAX_HARD_SWISH_FACTOR,
    MAX_MEAN_FACTOR,
    MAX_MUL_FACTOR,
)


def smallest_scale(quantized: QuantizedGraph, node: Node) -> float:
    """Return the scale that a node's output must stay above for its kernels to compute it."""
    scales = [quantized.activations[name].scale[0] for name in node.inputs]
    shapes = quantized.graph.shapes
    match node.operator:
        case Affine() | Conv() | Gemm():
            weights = quantized.weights[node.name]
            factors = weights.bias_scale.astype(np.float64)
            sums = factors * weights.largest_sum()
            return float(max(factors.max() / MAX_CONV_FACTOR, sums.max() / MAX_CONV_STEPS))
        case Add() | Sub():
            return max(scales) / MAX_ADD_FACTOR
        case Mul():
            return math.prod(scales) / MAX_MUL_FACTOR
        case Clamp():
            return scales[0] / MAX_CLAMP_FACTOR
        case GlobalAveragePool() | ReduceMean():
            size = math.prod(shapes[node.inputs[0]]) / math.prod(shapes[node.output])
            return scales[0] / (size * MAX_MEAN_FACTOR)
        case HardSwish():
            return scales[0] / MAX_HARD_SWISH_FACTOR
        case _:
            return 0.0
