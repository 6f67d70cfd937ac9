"""The same cases in int8: both files, held to onnx's own arithmetic value by value.

An int8 output cannot be the expected one to float32's last digits: the inputs, the constants and
every value between are rounded. So each rounding is found, and bounded by itself:

1. The Graph, whose values calibrate it, gives the expected output as closely as the case demands.
   It does so again on the inputs as their integers hold them, for which onnx's reference evaluator
   says what is expected.
2. Every input, weight, bias and constant, as its integers hold it, is within half a step of itself.
3. Every value of the Graph on the case's own inputs lies within what its integers reach.
4. Every value in a file, as LiteRT or ONNX Runtime computes it, is what its operator alone makes in
   float32 of the very integers that it was given, to half a step and what the kernel is known to
   lose (`KERNELS`); where integers are only moved, they are equal.

Then the output is the expected one but for roundings of half a step, each of which was seen.
Nothing adds up unseen, so that no bound grows with the size of a case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from calibration.observers import observe
from converters.graph import Graph, Node
from converters.onnx_qdq.writer import write_float
from converters.operators import (
    AveragePool,
    Clamp,
    Constant,
    HardSwish,
    LeakyRelu,
    LogSoftmax,
    MatMul,
    Operator,
    Requantize,
    Reshape,
    Resize,
    Transpose,
    Weighted,
)
from converters.quantize.assign import assign, observed_values
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph
from converters.quantize.rules import Tie, rule_of
from edge.errors import EdgeError
from edge.tensors import Array
from tests.conformance.cases import Outcome, Sample, difference, reason_of
from tests.conformance.int8_files import FORMATS, TFLITE, Values
from tests.converters.artifacts import EXACT, REQUANTIZED, ROUNDING, held
from tests.converters.models import session

Kernels = Mapping[type[Operator], float]

# Steps that LiteRT's kernels may be off beyond one rounding; tests/converters/int8 has the causes.
KERNELS: Kernels = {
    Clamp: REQUANTIZED,
    HardSwish: 2**-6,
    LeakyRelu: REQUANTIZED,
    Requantize: REQUANTIZED,
    Resize: 2**-4,
}
# What need not have integers of its own: another name for the same memory, a constant, and in ONNX
# a change of scale, where the reader takes any.
WITHOUT = (Reshape, Transpose, Constant, Requantize)


def run_int8(outcome: Outcome) -> dict[str, Outcome]:
    """Return how a case goes in int8 by format, given how it went in float."""
    sample = outcome.sample
    if outcome.result != "passed" or sample is None:
        return dict.fromkeys(FORMATS, outcome)
    try:
        real = _real(sample)
        quantized = quantize(sample, real)
    except EdgeError as refusal:
        return dict.fromkeys(FORMATS, replace(outcome, result="refused", reason=reason_of(refusal)))
    given = {
        name: quantized.activations[name].spec(name, x.shape, "int8").quantize(x)
        for name, x in sample.inputs.items()
    }
    beside = (
        difference(sample, real, sample.expected)
        or _rounded_inputs(sample, quantized, given)
        or _integers(sample, quantized, given)
        or _saturated(quantized, real)
    )
    kinds = frozenset(type(node.operator) for node in quantized.graph.nodes)
    results = {}
    for name, runners in FORMATS.items():
        kernels = KERNELS if name == TFLITE else {}
        try:
            found = [runner(quantized, given) for runner in runners]
        except EdgeError as refusal:
            results[name] = replace(outcome, result="refused", reason=reason_of(refusal))
            continue
        errors = [beside, *(_values(quantized, {**given, **of}, kernels) for of in found)]
        error = next(filter(None, errors), "")
        result = "failed" if error else "passed"
        results[name] = replace(outcome, result=result, reason=error, kinds=kinds)
    return results


def _real(sample: Sample) -> Values:
    """Return every value of the Graph in float32 on the case's own inputs, which it calibrates."""
    everything = [node.output for node in sample.graph.nodes]
    return {**sample.inputs, **_compute(write_float(sample.graph, everything), sample.inputs)}


def quantize(sample: Sample, real: Values) -> QuantizedGraph:
    """Return the Graph quantized by what its values are on the case's own inputs, `real`."""
    ranges = observe(observed_values(sample.graph), [real]).ranges("minmax")
    inputs = {n: from_range(float(x.min()), float(x.max())) for n, x in sample.inputs.items()}
    return assign(sample.graph, inputs, ranges)


def _rounded_inputs(sample: Sample, quantized: QuantizedGraph, given: Values) -> str:
    """Return how far the Graph is from onnx's evaluator on the rounded inputs, "" if it is not."""
    rounded = {name: quantized.activations[name].dequantize(q) for name, q in given.items()}
    with np.errstate(all="ignore"):
        expected: Any = ReferenceEvaluator(sample.model).run(None, dict(rounded))
    error = difference(sample, _compute(write_float(sample.graph), rounded), expected)
    return f"on rounded inputs, {error}" if error else ""


def _integers(sample: Sample, quantized: QuantizedGraph, given: Values) -> str:
    """Return which input or constant is more than half its step from what it stands for, or ""."""
    params = quantized.activations
    pairs: list[tuple[str, Array, Array, Array | float]] = [
        (name, params[name].dequantize(given[name]), x, params[name].scale[0])
        for name, x in sample.inputs.items()
    ]
    for node in quantized.graph.nodes:
        ours, theirs = held(quantized, node), node.operator
        if isinstance(ours, Constant) and isinstance(theirs, Constant):
            pairs.append((node.output, ours.value, theirs.value, params[node.output].scale[0]))
        if isinstance(ours, Weighted) and isinstance(theirs, Weighted):
            weights = quantized.weights[node.name]
            along = [1] * theirs.weight.ndim
            along[weights.params.axis or 0] = -1
            scale = np.asarray(weights.params.scale).reshape(along)
            pairs.append((f"{node.name}/weight", ours.weight, theirs.weight, scale))
            pairs.append((f"{node.name}/bias", ours.bias, theirs.bias, weights.bias_scale))
    for name, integers, real, step in pairs:
        error = np.abs(integers - real) / step
        if not error.max() <= ROUNDING:
            return f"{name} is rounded by {error.max():.3g} steps"
    return ""


def _saturated(quantized: QuantizedGraph, real: Values) -> str:
    """Return which value its integers have no place for, "" if there is none.

    One step more where TFLite's kernels demand a scale: a Softmax ends at 255/256.
    """
    for name, x in real.items():
        params, maker = quantized.activations[name], quantized.graph.producers.get(name)
        allowed = 1.0 if maker and rule_of(maker.operator).fixed else ROUNDING
        # A LogSoftmax ends at -15.9, and what is below is as good as impossible.
        low = -np.inf if maker and isinstance(maker.operator, LogSoftmax) else params.low
        error = np.abs(x - x.clip(low, params.high)) / params.scale[0]
        if not error.max() <= allowed:
            return f"{name}: {error.max():.3g} steps beyond its range"
    return ""


def _values(quantized: QuantizedGraph, found: Values, kernels: Kernels) -> str:
    """Return which value is not what its operator makes of its inputs' integers, "" if none."""
    real = {name: quantized.activations[name].dequantize(q) for name, q in found.items()}
    exact = _exact(quantized, real)
    for node in quantized.graph.nodes:
        name, params = node.output, quantized.activations[node.output]
        if name not in real:
            if not isinstance(node.operator, WITHOUT) or name in quantized.graph.outputs:
                return f"{name} ({node.kind}): the file has no such value"
            continue
        if real[name].shape != exact[name].shape:
            return f"{name} ({node.kind}): shape {real[name].shape} instead of {exact[name].shape}"
        error = np.abs(real[name] - exact[name].clip(params.low, params.high)) / params.scale[0]
        # Written so that NaN fails.
        if not error.max() <= _allowed(quantized, node, kernels):
            return f"{name} ({node.kind}): {error.max():.3g} steps off"
    return ""


def _exact(quantized: QuantizedGraph, real: Values) -> Values:
    """Return what each node makes in float32 of its inputs in `real`, with the files' constants.

    Every node stands alone, but for inputs that are not in `real`: these are as they were made.
    """

    def made(name: str) -> str:
        return f"{name}/exact"

    nodes = [
        Node(
            node.name,
            held(quantized, node),
            tuple(name if name in real else made(name) for name in node.inputs),
            made(node.output),
        )
        for node in quantized.graph.nodes
    ]
    read = {name: real[name] for node in nodes for name in node.inputs if name in real}
    shapes = {name: x.shape for name, x in read.items()}
    graph = Graph("alone", shapes, tuple(node.output for node in nodes), tuple(nodes))
    exact = _compute(write_float(graph), read)
    return {node.output: exact[made(node.output)] for node in quantized.graph.nodes}


def _allowed(quantized: QuantizedGraph, node: Node, kernels: Kernels) -> float:
    """Return how many steps the values of a node may be off: none where it only moves them."""
    operator = node.operator
    averages = isinstance(operator, AveragePool) or getattr(operator, "linear", False)
    if rule_of(operator).output is Tie.TO_INPUT and not averages:
        return EXACT
    if isinstance(operator, MatMul) and kernels:
        # TFLite's kernel rounds twice: to as many bits below a step as the factor is small.
        a, b, y = (quantized.activations[v].scale[0] for v in (*node.inputs, node.output))
        return ROUNDING + a * b / y
    return ROUNDING + kernels.get(type(operator), 0.0)


def _compute(model: onnx.ModelProto, inputs: Values) -> dict[str, Array]:
    """Return the outputs of a float model in ONNX Runtime by name."""
    opened = session(model)
    names = [output.name for output in opened.get_outputs()]
    found = opened.run(names, {name: np.asarray(x) for name, x in inputs.items()})
    return dict(zip(names, found, strict=True))
