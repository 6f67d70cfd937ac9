"""Part of a network in float: what is converted, and that both runtimes compute what is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from converters.graph import Graph, Node
from converters.onnx_qdq import writer
from converters.operators import Add, Constant, Exp, Mul
from converters.quantize.keep_float import is_computing, keep_float
from edge.tensors import Array
from tests.converters.artifacts import Artifacts, make, opcodes, quantize
from tests.converters.models import Constants, f32, normal
from tests.converters.random_graphs import network

CONSTANTS: Constants = {
    "w": normal(4, 3, 3, 3, spread=0.3),
    "v": normal(4, 4, 3, 3, seed=1, spread=0.3),
    "u": normal(4, 4, 1, 1, seed=2),
    "g": normal(4, 5, seed=3),
    "zero": f32(0),
    "six": f32(6),
}
CHAIN = (
    "a = Conv<pads=[1,1,1,1]>(x, w) b = Clip(a, zero, six) c = Conv<pads=[1,1,1,1]>(b, v) "
    "d = Relu(c) m = MaxPool<kernel_shape=[2,2]>(d) e = Conv(m, u) p = GlobalAveragePool(e) "
    "f = Flatten(p) y = MatMul(f, g)"
)


def with_float(made: Artifacts, *values: str) -> Artifacts:
    """Return the artifacts with what makes these values in float."""
    names = frozenset(made.graph.producers[value].name for value in values)
    return replace(made, quantized=keep_float(made.quantized, names))


def float_values(made: Artifacts) -> list[str]:
    held = made.quantized.activations
    return [node.output for node in made.graph.nodes if node.output not in held]


def float_weights(model: onnx.ModelProto) -> set[str]:
    """Return the names of the file's float32 weights of convolutions and matrix products."""
    held = {t.name: t.data_type for t in model.graph.initializer}
    read = [node.input[1] for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    return {name for name in read if held.get(name) == TensorProto.FLOAT}


def conversions(made: Artifacts) -> tuple[int, int]:
    """Return how often TFLite goes from integers to floats, and back."""
    names = opcodes(made.tflite)
    return names.count("DEQUANTIZE"), names.count("QUANTIZE")


def as_written(made: Artifacts) -> list[Array]:
    """Return int8 outputs of the ONNX file with nothing fused or rewritten, node by node."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    opened = onnxruntime.InferenceSession(made.onnx.SerializeToString(), options)
    x = (made.x.astype(np.int16) + 128).astype(np.uint8)
    outputs = opened.run(None, {made.graph.input: x})
    return [(y.astype(np.int16) - 128).astype(np.int8) for y in outputs]


def assert_right(made: Artifacts, apart: int = 1) -> None:
    """Hold both files, as their runtimes run them, to what is written in the ONNX file."""
    for found in (made.in_onnx(), made.in_onnx("int8"), made.in_litert()):
        for y, expected in zip(found.values(), as_written(made), strict=True):
            assert np.abs(y.astype(int) - expected).max() <= apart


@pytest.mark.parametrize(
    ("chosen", "in_float", "layers"),
    [
        (("b",), ["b/float"], {"Conv_a"}),
        (("d",), ["d/float"], {"Conv_c"}),
        (("b", "d"), ["b", "d/float"], {"Conv_a", "Conv_c"}),
        # The pool between two convolutions copies: it goes with them, and with neither alone.
        (("d", "e"), ["d", "m", "e/float"], {"Conv_c", "Conv_e"}),
        (("e",), ["e/float"], {"Conv_e"}),
        # So do axes that are only called otherwise.
        (("p", "y"), ["p", "f", "y/float"], {"MatMul_y"}),
        (("b", "d", "e", "p", "y"), ["b", "d", "m", "e", "p", "f", "y/float"], None),
    ],
)
def test_a_segment_is_entered_and_left_once(
    chosen: tuple[str, ...], in_float: list[str], layers: set[str] | None
) -> None:
    made = make(CHAIN, **CONSTANTS)
    mixed = with_float(made, *chosen)
    assert float_values(mixed) == in_float
    expected = layers or {"Conv_a", "Conv_c", "Conv_e", "MatMul_y"}
    assert float_weights(mixed.onnx) == {f"{name}/weight" for name in expected}
    assert mixed.quantized.weights.keys() == made.quantized.weights.keys() - expected
    assert conversions(mixed) == (1, 1)
    for value, params in mixed.quantized.activations.items():
        assert params == made.quantized.activations[value]
    assert_right(mixed)


def test_nothing_chosen_is_nothing_changed() -> None:
    made = make(CHAIN, **CONSTANTS)
    same = with_float(made)
    assert same.graph == made.graph
    assert same.tflite == made.tflite
    assert same.onnx == made.onnx


# A layer with large weights for what is all but nothing: one scale has no steps for the others.
DELICATE: Constants = {
    **CONSTANTS,
    "w": CONSTANTS["w"] * f32([1e-6, 1, 1, 1]).reshape(4, 1, 1, 1),
    "v": CONSTANTS["v"] * f32([1e3, 1, 1, 1]).reshape(1, 4, 1, 1),
}


def test_onnx_runtime_leaves_the_weights_of_a_lone_layer_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mixed = with_float(make(CHAIN, **DELICATE), "d")
    assert float_values(mixed) == ["d/float"]
    assert_right(mixed)
    # It would not, did the layer read a value with one scale.
    monkeypatch.setattr(writer._QdqWriter, "_unfused", writer._QdqWriter._real)
    with pytest.raises(AssertionError):
        assert_right(replace(mixed))  # written anew


def test_a_value_of_floats_and_integers_is_both() -> None:
    body = "a = Conv(x, w) b = Relu(a) c = Conv(b, u) d = Conv(b, u) y = Add(c, d)"
    mixed = with_float(make(body, **CONSTANTS), "b", "c")
    assert float_values(mixed) == ["b/float", "c/float"]
    readers = {node.output: node.inputs for node in mixed.graph.nodes}
    assert readers["c/float"] == ("b/float",)
    assert readers["d"] == ("b",)
    assert_right(mixed)


def test_what_is_brought_to_one_scale_for_a_concat_is_not_where_that_is_float() -> None:
    body = "a = Conv(x, w) s = Sigmoid(a) t = Exp(a) c = Concat<axis=1>(s, a) y = Add(t, a)"
    made = make(body, outputs=("y", "c"), **CONSTANTS)
    between = [node.output for node in made.graph.nodes if node.kind == "Requantize"]
    assert between
    mixed = with_float(made, "c")
    assert not {*between} & {node.output for node in mixed.graph.nodes}
    (concat,) = (node for node in mixed.graph.nodes if node.kind == "Concat")
    assert concat.inputs == ("s", "a")
    assert_right(mixed)
    # And what is float before it is rounded once.
    mixed = with_float(made, "s", "a")
    assert float_values(mixed) == ["a/float", "s"]
    (step,) = (node for node in mixed.graph.nodes if node.output in between)
    assert step.inputs == ("s",)
    assert_right(mixed)


def test_a_constant_is_float_for_floats() -> None:
    nodes = (
        Node("k", Constant(f32([0.5, 1.5, 2.0]).reshape(1, 3, 1, 1)), (), "k"),
        Node("exp", Exp(), ("x",), "e"),
        Node("first", Mul(), ("e", "k"), "m"),
        Node("second", Add(), ("m", "k"), "y"),
    )
    made = quantize(Graph("shared", {"x": (1, 3, 4, 4)}, ("y",), nodes), reals=(-1.0, 1.0))
    mixed = with_float(made, "m")
    assert float_values(mixed) == ["k/float", "m/float"]
    assert {"k", "m"} <= mixed.quantized.activations.keys()
    assert_right(mixed)
    mixed = with_float(made, "m", "y")
    assert float_values(mixed) == ["k", "m", "y/float"]
    assert_right(mixed)


@pytest.mark.parametrize("seed", range(24))
def test_any_nodes_may_be_float(seed: int) -> None:
    made = quantize(network(seed))
    computing = [node.name for node in made.graph.nodes if is_computing(node)]
    random = np.random.default_rng(seed)
    chosen = frozenset(name for name in computing if random.random() < 0.4)
    mixed = replace(made, quantized=keep_float(made.quantized, chosen))
    mixed.graph.verify()
    assert {node.name for node in mixed.graph.nodes if node.name in chosen} == chosen
    for node in mixed.graph.nodes:
        if node.name in chosen:
            assert node.output not in mixed.quantized.activations
    assert_right(mixed, apart=3)
