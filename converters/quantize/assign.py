"""Graph and ranges in, QuantizedGraph out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from calibration.observers import RangeTable
from converters.errors import ConvertError
from converters.graph import Graph
from converters.operators import Add, Clamp, Conv, Gemm, GlobalAveragePool, clamp_of
from converters.quantize.params import QuantParams, from_range
from converters.quantize.quantized import QuantizedGraph, QuantizedWeights
from converters.quantize.rules import (
    MAX_ADD_FACTOR,
    MAX_CLAMP_FACTOR,
    MAX_CONV_FACTOR,
    MAX_CONV_STEPS,
    MAX_MEAN_FACTOR,
    QUANT_RULES,
    Tie,
)
from converters.quantize.weights import quantize_weights, reachable_bias


def observed_values(graph: Graph) -> tuple[str, ...]:
    """Return the values whose ranges calibration must measure, in the order of the graph."""
    return tuple(
        node.output
        for node in graph.nodes
        if QUANT_RULES[type(node.operator)].output is Tie.OBSERVED
        and QUANT_RULES[type(node.operator)].fixed is None
    )


def assign(graph: Graph, input_params: QuantParams, ranges: RangeTable) -> QuantizedGraph:
    """Give every value its parameters by the rules, and round every constant.

    Args: graph: after the passes; input_params: of the graph's input;
        ranges: of every value that `observed_values` names.
    Raises: ConvertError: a constant cannot be quantized; the node is named.
    """
    activations: dict[str, QuantParams] = {graph.input: input_params}
    weights: dict[str, QuantizedWeights] = {}
    for node in graph.nodes:
        rule = QUANT_RULES[type(node.operator)]
        inputs = [activations[name] for name in node.inputs]
        if rule.fixed is not None:
            params = rule.fixed
        elif rule.output is Tie.TO_INPUT:
            params = inputs[0]
        else:
            measured = ranges[node.output]
            alone = node.operator if isinstance(node.operator, Clamp) else None
            params = _within(alone or clamp_of(node.operator), measured.low, measured.high)
        if isinstance(node.operator, Conv | Gemm):
            axis = rule.weight_axis or 0
            bias = reachable_bias(node.operator, axis, inputs[0], params)
            try:
                quantized = quantize_weights(
                    replace(node.operator, bias=bias), axis, inputs[0].scale[0]
                )
            except ConvertError as cause:
                raise ConvertError(f"{node.name} ({node.kind}): {cause}") from cause
            weights[node.name] = quantized
            params = _fit_sums(params, quantized)
        elif isinstance(node.operator, Add):
            largest = max(p.scale[0] for p in inputs)
            params = _widened(params, largest / params.scale[0] / MAX_ADD_FACTOR)
        elif isinstance(node.operator, Clamp):
            factor = inputs[0].scale[0] / params.scale[0]
            params = _widened(params, factor / MAX_CLAMP_FACTOR)
        elif isinstance(node.operator, GlobalAveragePool):
            pixels = math.prod(graph.shapes[node.inputs[0]][2:])
            factor = inputs[0].scale[0] / (params.scale[0] * pixels)
            params = _widened(params, factor / MAX_MEAN_FACTOR)
        activations[node.output] = params
    return QuantizedGraph(graph, activations, weights)


def _within(clamp: Clamp | None, low: float, high: float) -> QuantParams:
    """Return parameters whose saturation is the clamp.

    The range was measured after the clamp, so it lies inside; an int8 value cannot leave its
    range, which then does what the clamp does, and no operator is needed for it.
    """
    if clamp is not None:
        low, high = max(low, clamp.low), min(high, clamp.high)
    return from_range(low, high)


def _widened(params: QuantParams, factor: float) -> QuantParams:
    """Return `params` with the scale multiplied by `factor` where that is above 1."""
    if factor < 1:
        return params
    return QuantParams((float(np.float32(params.scale[0] * factor * 1.01)),), params.zero_point)


def _fit_sums(params: QuantParams, weights: QuantizedWeights) -> QuantParams:
    """Keep what a kernel makes of its sums, in the output's steps, inside what it computes."""
    factors = weights.bias_scale.astype(np.float64) / params.scale[0]
    steps = factors * weights.largest_sum()
    widest = max(factors.max() / MAX_CONV_FACTOR, steps.max() / MAX_CONV_STEPS)
    return _widened(params, float(widest))
