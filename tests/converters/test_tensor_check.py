from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from converters.onnx_qdq.writer import write_qdq
from converters.pipeline import Conversion
from converters.quantize.quantized import QuantizedGraph
from converters.tensor_check import TensorCheck, check_tensors
from converters.tflite.writer import write_tflite
from edge.tensors import F32
from tests.converters.artifacts import quantized_of


@pytest.fixture(scope="module")
def inputs(conversion: Conversion) -> list[F32]:
    shape = conversion.source.graph.input_shape
    random = np.random.default_rng(5)
    return [random.uniform(-1, 1, shape).astype(np.float32) for _ in range(2)]


def spoiled(conversion: Conversion, name: str) -> QuantizedGraph:
    """Return the quantized network with one layer's weights negated."""
    quantized = quantized_of(conversion)
    layer = quantized.weights[name]
    wrong = replace(layer, weight=(-layer.weight).astype(np.int8))
    return QuantizedGraph(
        quantized.graph, quantized.activations, {**quantized.weights, name: wrong}
    )


def by_name(checks: tuple[TensorCheck, ...]) -> dict[str, TensorCheck]:
    return {check.name: check for check in checks}


def test_every_value_is_checked_in_both_artifacts(
    conversion: Conversion, inputs: list[F32]
) -> None:
    checks = check_tensors(quantized_of(conversion), conversion.artifacts, inputs)
    assert [check.name for check in checks] == [
        node.output for node in quantized_of(conversion).graph.nodes
    ]
    for check in checks:
        # A flattening that its Gemm does itself leaves no tensor in TFLite.
        assert set(check.sqnr_db) == ({"onnx"} if check.kind == "Reshape" else {"onnx", "tflite"})
        assert min(check.sqnr_db.values()) > 15
        if check.steps is not None:
            assert check.steps <= 2
            assert check.equal is not None
            assert check.equal > 0.95


def test_a_wrong_layer_is_found_where_it_is(conversion: Conversion, inputs: list[F32]) -> None:
    nodes = [node for node in quantized_of(conversion).graph.nodes if node.kind == "Conv"]
    wrong, before = nodes[6], nodes[5]
    broken = write_tflite(spoiled(conversion, wrong.name), conversion.card)
    artifacts = {**conversion.artifacts, "tflite": broken}
    checks = by_name(check_tensors(quantized_of(conversion), artifacts, inputs))
    assert checks[before.output].sqnr_db["tflite"] > 15
    assert checks[wrong.output].sqnr_db["tflite"] < 3
    assert checks[wrong.output].sqnr_db["onnx"] > 15
    assert (checks[wrong.output].steps or 0) > 20


def test_float_input_and_output_are_read_too(conversion: Conversion, inputs: list[F32]) -> None:
    quantized, card = quantized_of(conversion), conversion.card
    artifacts = {
        "onnx": write_qdq(quantized, card, io="float32").SerializeToString(),
        "tflite": write_tflite(quantized, card, io="float32"),
    }
    integer = check_tensors(quantized, conversion.artifacts, inputs)
    # The same integers in between, all of them, whatever stands at the border.
    assert check_tensors(quantized, artifacts, inputs) == integer


def test_silence_and_exactness_have_a_ratio(conversion: Conversion) -> None:
    # A picture of zeros is exact at the input's zero point, but the first layer still rounds.
    shape = conversion.source.graph.input_shape
    checks = check_tensors(
        quantized_of(conversion), conversion.artifacts, [np.zeros(shape, np.float32)]
    )
    assert not any(math.isnan(value) for check in checks for value in check.sqnr_db.values())
