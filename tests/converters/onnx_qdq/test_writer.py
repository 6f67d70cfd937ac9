import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.onnx_qdq.writer import Activation, write_float, write_qdq
from converters.operators import Gemm, Sub
from converters.quantize.params import from_range
from converters.quantize.quantized import Io, QuantizedGraph
from edge.card import CARD_KEY, TENSORS_KEY, ModelCard
from tests.converters.artifacts import CARD, Artifacts, make
from tests.converters.models import f32, normal, run, session


@pytest.fixture(scope="module")
def network() -> Artifacts:
    """Two blocks of a MobileNetV2 and its head, 8 x 8."""
    return make(
        "c = Conv<pads=[1,1,1,1]>(x, w, b) r = Clip(c, zero, six) "
        "d = Conv<pads=[1,1,1,1], group=4>(r, k) s = Clip(d, zero, six) p = Conv(s, q, b) "
        "a = Add(p, r) e = Conv(a, q) t = Clip(e, zero, three) g = GlobalAveragePool(t) "
        "f = Flatten(g) y = Gemm(f, l)",
        w=normal(4, 3, 3, 3),
        b=normal(4),
        k=normal(4, 1, 3, 3),
        q=normal(4, 4, 1, 1),
        l=normal(4, 5),
        zero=f32(0),
        six=f32(6),
        three=f32(3),
    )


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


@pytest.mark.parametrize("io", ["integer", "float32"])
def test_the_card_is_inside(network: Artifacts, io: Io) -> None:
    model = write_qdq(network.quantized, CARD, io=io)
    assert ModelCard.from_json(metadata(model)[CARD_KEY]) == CARD


@pytest.mark.parametrize("activation", ["uint8", "int8"])
def test_what_the_integers_mean_is_inside(network: Artifacts, activation: Activation) -> None:
    meanings = json.loads(metadata(network.write_onnx(activation))[TENSORS_KEY])
    shift = 128 if activation == "uint8" else 0
    for role, name in (("input", "x"), ("output", "y")):
        params = network.quantized.activations[name]
        assert meanings[role] == {
            "name": name,
            "scale": params.scale[0],
            "zero_point": params.zero_point[0] + shift,
        }


@pytest.fixture(scope="module")
def heads() -> Artifacts:
    """Scores, the features that they are made of, and these a second time."""
    body = "c = Conv(x, w) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) y = Gemm(f, h) "
    outputs = ("r", "y", "z")
    made = make(body + "z = Identity(r)", outputs=outputs, w=normal(4, 3, 3, 3), h=normal(4, 5))
    graph = replace(made.graph, scores=1)
    return replace(made, quantized=replace(made.quantized, graph=graph))


@pytest.mark.parametrize("activation", ["uint8", "int8"])
def test_what_each_of_several_outputs_means_is_inside(
    heads: Artifacts, activation: Activation
) -> None:
    meanings = json.loads(metadata(heads.write_onnx(activation))[TENSORS_KEY])
    assert [meaning["name"] for meaning in meanings["outputs"]] == ["r", "y", "z"]
    assert meanings["output"] == meanings["outputs"][1]
    shift = 128 if activation == "uint8" else 0
    for meaning in meanings["outputs"]:
        params = heads.quantized.activations[meaning["name"]]
        assert meaning["scale"] == params.scale[0]
        assert meaning["zero_point"] == params.zero_point[0] + shift


@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("io", ["integer", "uint8", "float32"])
def test_every_output_follows_io(heads: Artifacts, io: Io, activation: Activation) -> None:
    model = write_qdq(heads.quantized, CARD, activation=activation, io=io)
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == ["r", "y", "z"]
    dtype = {"integer": activation, "uint8": "uint8", "float32": "float32"}[io]
    shift = 128 if dtype == "uint8" else 0
    integers = (heads.x.astype(np.int16) + shift).astype(dtype)
    x = heads.real("x", heads.x) if io == "float32" else integers
    outputs = run(model, x, session__x64quantprecision="1")
    expected = heads.in_onnx()
    for name, found in zip(("r", "y", "z"), outputs, strict=True):
        assert str(found.dtype) == dtype
        if io == "float32":
            np.testing.assert_array_equal(found, heads.real(name, expected[name]))
        else:
            np.testing.assert_array_equal(found.astype(int) - shift, expected[name])


def test_float32_io_is_the_same_network(network: Artifacts) -> None:
    model = write_qdq(network.quantized, CARD, io="float32")
    onnx.checker.check_model(model, full_check=True)
    assert TENSORS_KEY not in metadata(model)
    x = network.real("x", network.x)
    (y,) = run(model, x, session__x64quantprecision="1")
    np.testing.assert_array_equal(y, network.real("y", network.in_onnx()["y"]), strict=True)


def test_writing_twice_gives_the_same_bytes(network: Artifacts) -> None:
    first, second = (write_qdq(network.quantized, CARD).SerializeToString() for _ in range(2))
    assert first == second


def test_the_written_integers_are_those_of_the_quantized_graph(network: Artifacts) -> None:
    written = {t.name: numpy_helper.to_array(t) for t in network.onnx.graph.initializer}
    for name, weights in network.quantized.weights.items():
        np.testing.assert_array_equal(written[f"{name}/weight"], weights.weight, strict=True)
        np.testing.assert_array_equal(written[f"{name}/bias"], weights.bias, strict=True)
        np.testing.assert_array_equal(written[f"{name}/bias/scale"], weights.bias_scale)
    for name, params in network.quantized.activations.items():
        # With rank 1, ONNX Runtime leaves Add in float.
        assert written[f"{name}/scale"].shape == written[f"{name}/zero_point"].shape == ()
        assert written[f"{name}/scale"] == np.float32(params.scale[0])


@pytest.mark.parametrize("io", ["integer", "float32"])
def test_every_operator_becomes_an_integer_one(network: Artifacts, io: Io, tmp_path: Path) -> None:
    """The field's own proof: not what was written, but what the session made of it."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    model = write_qdq(network.quantized, CARD, io=io)
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QLinearConv"] == 4
    assert kinds["QLinearAdd"] == 1
    assert kinds["QLinearGlobalAveragePool"] == 1
    assert kinds["QGemm"] == 1
    floats = {"Conv", "FusedConv", "Add", "Gemm", "MatMul", "Clip", "Relu", "GlobalAveragePool"}
    assert not floats & set(kinds)
    edges = {"QuantizeLinear": 1, "DequantizeLinear": 1} if io == "float32" else {}
    for kind in ("QuantizeLinear", "DequantizeLinear"):
        assert kinds[kind] == edges.get(kind, 0)


def test_float_with_observed_values_after_its_own(network: Artifacts) -> None:
    model = write_float(network.graph, ["a", "y", "r"])
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == ["y", "a", "r"]
    x = network.real("x", network.x)
    together = run(model, x)
    (alone,) = run(write_float(network.graph), x)
    np.testing.assert_allclose(together[0], alone, rtol=1e-5, atol=1e-5)
    # Observed behind its clamp, never before.
    assert together[2].min() == 0


def test_a_name_that_is_taken_is_said() -> None:
    made = make("a = Relu(x) y = Add(a, x)")
    renamed = {"y": "a/real"}
    nodes = [replace(n, output=renamed.get(n.output, n.output)) for n in made.graph.nodes]
    clash = replace(made.graph, outputs=("a/real",), nodes=tuple(nodes))
    activations = {renamed.get(k, k): v for k, v in made.quantized.activations.items()}
    # Beside the value a, a/real is what DequantizeLinear makes of it.
    with pytest.raises(ConvertError, match="a tensor called 'a/real'"):
        write_qdq(replace(made.quantized, graph=clash, activations=activations), CARD)


@pytest.mark.parametrize("io", ["integer", "float32"])
def test_several_inputs(io: Io) -> None:
    shapes = {"a": (1, 4), "b": (1, 4)}
    graph = Graph("two", shapes, ("y",), (Node("sub", Sub(), ("a", "b"), "y"),))
    ranges = {"a": (-1.0, 2.0), "b": (0.0, 5.0), "y": (-6.0, 2.0)}
    params = {name: from_range(*ends) for name, ends in ranges.items()}
    values = {"a": [[-128, 0, 3, 127]], "b": [[127, -128, 5, 99]]}
    integers = {name: np.asarray(q, np.int8) for name, q in values.items()}
    real = {name: params[name].dequantize(q) for name, q in integers.items()}
    model = write_qdq(QuantizedGraph(graph, params, {}), CARD, activation="int8", io=io)
    (y,) = session(model).run(None, integers if io == "integer" else real)
    y = params["y"].dequantize(y) if io == "integer" else y
    # One rounding; 1e-3 of a step for float32.
    assert np.abs(y - (real["a"] - real["b"])).max() <= 0.501 * params["y"].scale[0]


@pytest.mark.parametrize("name", ["y", "dense"])
def test_a_dense_layer_over_positions_may_be_called_like_what_it_makes(name: str) -> None:
    x, w, b = normal(1, 6, 3), normal(5, 3, seed=1), normal(5, seed=2)
    node = Node(name, Gemm(w, b), ("x",), "y")
    (found,) = run(write_float(Graph("g", {"x": (1, 6, 3)}, ("y",), (node,))), x)
    np.testing.assert_allclose(found, x @ w.T + b, rtol=1e-5, atol=1e-6)
