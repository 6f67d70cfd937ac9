"""Whatever is wrong in an int8 file, or in how it was made, is reported as failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from converters.onnx_qdq.operators import WRITERS
from converters.operators import Add, Sigmoid, Sub, Tanh, Weighted
from converters.quantize import assign as assigning
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph, QuantizedWeights
from converters.quantize.weights import quantize_weights
from converters.tflite.handlers import binary
from edge.tensors import TensorSpec
from tests.conformance import int8_files
from tests.conformance.__main__ import FLOAT, Results
from tests.conformance.cases import Outcome
from tests.conformance.int8 import run_int8
from tests.conformance.int8_files import FORMATS, ONNX, TFLITE, Values


def in_int8(results: Results, name: str) -> dict[str, Outcome]:
    return run_int8(next(o for o in results[FLOAT] if o.name == f"test_{name}"))


def failed(found: dict[str, Outcome]) -> set[str]:
    return {name for name, outcome in found.items() if outcome.result == "failed"}


def test_a_wrong_expectation_is_seen(results: Results) -> None:
    outcome = next(o for o in results[FLOAT] if o.name == "test_relu")
    assert outcome.sample is not None
    expected = [y + 1e-2 for y in outcome.sample.expected]
    found = run_int8(replace(outcome, sample=replace(outcome.sample, expected=expected)))
    assert failed(found) == {TFLITE, ONNX}


@pytest.mark.parametrize("format_", FORMATS)
def test_one_step_off_is_seen_in_every_operator(
    results: Results, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    compute = FORMATS[format_][0]

    def off(quantized: QuantizedGraph, given: Values) -> Values:
        found = compute(quantized, given)
        name = quantized.graph.outputs[0]
        step = np.where(found[name] < 127, 1, -1).astype(np.int8)
        return {**found, name: found[name] + step}

    chosen = {
        kind: index
        for index, outcome in enumerate(results[format_])
        if outcome.result == "passed"
        for kind in outcome.kinds
    }
    assert len(chosen) > 40
    monkeypatch.setitem(FORMATS, format_, (off,))
    for index in set(chosen.values()):
        found = run_int8(results[FLOAT][index])
        assert failed(found) == {format_}, found[format_].name


def test_a_wrong_operator_in_the_tflite_file_is_seen(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(binary.OPCODES, Add, binary.OPCODES[Sub])
    found = in_int8(results, "add")
    assert failed(found) == {TFLITE}
    assert "sum (Add)" in found[TFLITE].reason


def test_a_wrong_operator_in_whatever_is_written_as_onnx_is_seen(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The float model that says what is right is wrong then, too; what onnx expects is not.
    monkeypatch.setitem(WRITERS, Sigmoid, WRITERS[Tanh])
    found = in_int8(results, "sigmoid")
    assert failed(found) == {TFLITE, ONNX}
    assert "y: off by" in found[TFLITE].reason


def turned(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the same with its weights' signs turned."""
    weights = {
        name: replace(constants, weight=(-constants.weight).astype(np.int8))
        for name, constants in quantized.weights.items()
    }
    return replace(quantized, weights=weights)


def shifted(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the same with its outputs' zero points one off."""
    activations = dict(quantized.activations)
    for name in quantized.graph.outputs:
        (zero_point,) = activations[name].zero_point
        activations[name] = replace(activations[name], zero_point=(zero_point + 1,))
    return replace(quantized, activations=activations)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (turned, "conv_with_autopad_same"),
        (turned, "gemm_alpha"),
        (shifted, "mul"),
        (shifted, "globalaveragepool"),
    ],
)
@pytest.mark.parametrize(("writer", "format_"), [("write_tflite", TFLITE), ("write_qdq", ONNX)])
def test_a_damaged_file_is_seen(
    results: Results,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[QuantizedGraph], QuantizedGraph],
    name: str,
    writer: str,
    format_: str,
) -> None:
    write = getattr(int8_files, writer)
    monkeypatch.setattr(int8_files, writer, lambda q, card, **more: write(damage(q), card, **more))
    found = in_int8(results, name)
    assert failed(found) == {format_}
    assert "steps off" in found[format_].reason


def test_a_weight_that_was_not_rounded_to_the_nearest_is_seen(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(
        operator: Weighted, axis: int, input_scale: float, *, per_tensor: bool
    ) -> QuantizedWeights:
        made = quantize_weights(operator, axis, input_scale, per_tensor=per_tensor)
        return replace(made, weight=(made.weight - 1).astype(np.int8))

    monkeypatch.setattr(assigning, "quantize_weights", off)
    found = in_int8(results, "gemm_alpha")
    assert failed(found) == {TFLITE, ONNX}
    assert "/weight is rounded by" in found[TFLITE].reason


def test_a_range_that_is_too_narrow_is_seen(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigning, "from_range", lambda low, high: from_range(low, 0.9 * high))
    found = in_int8(results, "exp")
    assert failed(found) == {TFLITE, ONNX}
    assert "beyond its range" in found[TFLITE].reason


def test_a_constant_that_was_not_rounded_to_the_nearest_is_seen(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantize = TensorSpec.quantize
    monkeypatch.setattr(TensorSpec, "quantize", lambda spec, x: quantize(spec, x - spec.scale))
    found = in_int8(results, "add")
    assert failed(found) == {TFLITE, ONNX}
    assert "is rounded by" in found[TFLITE].reason
