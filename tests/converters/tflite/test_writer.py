from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from converters.errors import ConvertError
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from converters.quantize.quantized import Io
from converters.tflite.writer import moves, write_float_tflite, write_tflite
from edge.tensors import Array
from tests.converters.artifacts import CARD, Artifacts, make, opcodes, quantize
from tests.converters.models import build, f32, imported, normal, run

# The lowest version of each operator that has an int8 kernel with what is used of it.
VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "PAD": 2,
    "QUANTIZE": 2,
    "RELU": 2,
    "RELU6": 2,
    "RESHAPE": 1,
    "SOFTMAX": 2,
}


@pytest.fixture(scope="module")
def network() -> Artifacts:
    """One of everything."""
    return make(
        "m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) m6 = Clip(m, zero, six) "
        "mr = Relu(m6) c = Conv<pads=[1,1,1,1], strides=[2,2]>(mr, w, b) "
        "d = Conv<group=4, pads=[1,1,1,1]>(c, k) a = Add(c, d) "
        "v = AveragePool<kernel_shape=[2,2]>(a) v3 = Clip(v, zero, three) v0 = Relu(v) "
        "va = Add(v3, v0) g = GlobalAveragePool(va) n = Flatten(g) l = Gemm(n, h) y = Softmax(l)",
        "float[1,3,16,16]",
        outputs=("y", "n"),
        w=normal(4, 3, 3, 3),
        b=normal(4),
        k=normal(4, 1, 3, 3),
        h=normal(4, 5),
        zero=f32(0),
        six=f32(6),
        three=f32(3),
    )


def test_every_operator_in_its_version(network: Artifacts) -> None:
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model = schema.ModelT.InitFromPackedBuf(network.tflite, 0)
    versions = {names[code.builtinCode]: code.version for code in model.operatorCodes}
    assert versions == {name: VERSIONS[name] for name in versions}
    # The Clip to 6 and the Relu behind it are one RELU6.
    assert set(versions) == set(VERSIONS)


def test_tensors_carry_the_graphs_names_shapes_and_scales(network: Artifacts) -> None:
    interpreter = Interpreter(model_content=network.tflite, num_threads=1)
    by_name = {t["name"]: t for t in interpreter.get_tensor_details()}
    for name, params in network.quantized.activations.items():
        shape = network.graph.shapes[name]
        if name not in by_name:
            # A flattening that moves nothing has no tensor of its own.
            assert network.graph.producers[name].kind == "Reshape"
            continue
        in_tflite = [shape[i] for i in (0, 2, 3, 1)] if len(shape) == 4 else [1, 1, 1, shape[1]]
        if name in network.graph.outputs:
            in_tflite = list(shape)  # as the source gives it
        assert by_name[name]["shape"].tolist() == in_tflite
        assert by_name[name]["dtype"] is np.int8
        assert by_name[name]["quantization"] == (params.scale[0], params.zero_point[0])


def test_constants_are_the_quantized_graphs(network: Artifacts) -> None:
    interpreter = Interpreter(model_content=network.tflite, num_threads=1)
    by_name = {t["name"]: t for t in interpreter.get_tensor_details()}
    for name, weights in network.quantized.weights.items():
        weight, bias = by_name[f"{name}/weight"], by_name[f"{name}/bias"]
        np.testing.assert_array_equal(interpreter.get_tensor(bias["index"]), weights.bias)
        scales = weight["quantization_parameters"]
        np.testing.assert_array_equal(scales["scales"], f32(weights.params.scale))
        assert not scales["zero_points"].any()
        axis = scales["quantized_dimension"]
        assert weight["shape"][axis] == len(weights.bias)
        integers = interpreter.get_tensor(weight["index"])
        np.testing.assert_array_equal(np.sort(integers.ravel()), np.sort(weights.weight.ravel()))


def test_the_signature_names_inputs_and_outputs(network: Artifacts) -> None:
    interpreter = Interpreter(model_content=network.tflite, num_threads=1)
    signatures = interpreter.get_signature_list()
    assert signatures["serving_default"]["inputs"] == ["x"]
    assert sorted(signatures["serving_default"]["outputs"]) == ["n", "y"]


def test_writing_twice_gives_the_same_bytes(network: Artifacts) -> None:
    assert write_tflite(network.quantized, CARD) == write_tflite(network.quantized, CARD)


TAKEN: dict[str, Io] = {
    "y/inside": "integer",
    "x/integer": "float32",
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_is_taken_is_said(name: str) -> None:
    body = "p = GlobalAveragePool(x) f = Flatten(p) y = Gemm(f, h)"
    model = build(body, h=normal(3, 5))
    for io in ("integer", "float32"):
        assert write_tflite(quantize(imported(model)).quantized, CARD, io=io)
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = name
    made = quantize(imported(model))
    with pytest.raises(ConvertError, match=f"a tensor called {name!r}, a name that is needed"):
        write_tflite(made.quantized, CARD, io=TAKEN[name])


def test_float32_io_is_the_same_network(network: Artifacts) -> None:
    data = write_tflite(network.quantized, CARD, io="float32")
    kinds = opcodes(data)
    assert kinds[0] == "QUANTIZE"
    assert kinds[-1] == "DEQUANTIZE"
    assert kinds.count("DEQUANTIZE") == len(network.graph.outputs)
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    assert (given["name"], given["dtype"]) == ("x", np.float32)
    x = network.real("x", network.x)
    interpreter.set_tensor(given["index"], x.transpose(0, 2, 3, 1))
    interpreter.invoke()
    integers = network.in_litert()
    for detail in interpreter.get_output_details():
        expected = network.real(detail["name"], integers[detail["name"]])
        np.testing.assert_array_equal(interpreter.get_tensor(detail["index"]), expected)


def test_what_is_transposed_is_said_with_its_reader() -> None:
    model = build("a = Softmax<axis=2>(x) y = Conv(a, w)", w=normal(4, 3, 1, 1))
    graph = imported(model)
    assert moves(graph) == ("x for Softmax_a", "a for Conv_y")
    made = quantize(graph)
    assert moves(made.quantized) == ("x for Softmax_a", "a for Conv_y")
    assert opcodes(made.tflite).count("TRANSPOSE") == 2
    assert moves(imported(build("y = Softmax<axis=1>(x)"))) == ()


HEADS = (
    "c = Conv(x, w) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) y = Gemm(f, h) "
    "z = Identity(r) t = Transpose<perm=[0,2,3,1]>(r)"
)


def heads(*outputs: str, scores: str = "y") -> Graph:
    model = build(HEADS, outputs=outputs, w=normal(4, 3, 3, 3), h=normal(4, 5))
    return replace(imported(model), scores=outputs.index(scores))


def given_by(data: bytes, x: Array) -> dict[str, Array]:
    """Return what LiteRT gives for a picture in ONNX's layout, as it gives it."""
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x.transpose(0, 2, 3, 1))
    interpreter.invoke()
    details = interpreter.get_output_details()
    return {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in details}


# What is beside the scores, and how often it must be moved to lie as in the source.
OTHERS = {
    ("y",): 0,
    ("y", "r"): 1,
    ("r", "y"): 1,
    ("y", "c", "r"): 2,
    ("y", "p", "f"): 0,
    ("t", "y"): 0,
    ("y", "t", "r"): 1,
    ("r", "z", "y", "t"): 2,
}


@pytest.mark.parametrize("outputs", OTHERS)
def test_other_outputs_lie_as_in_the_source(outputs: tuple[str, ...]) -> None:
    graph = heads(*outputs)
    x = normal(*graph.input_shape, seed=4)
    data = write_float_tflite(graph, CARD)
    found = given_by(data, x)
    assert tuple(found) == outputs
    for name, theirs in zip(outputs, run(write_float(graph), x), strict=True):
        np.testing.assert_allclose(found[name], theirs, rtol=1e-5, atol=1e-5)
    assert opcodes(data).count("TRANSPOSE") == OTHERS[outputs]
    # Each is explained.
    moved = moves(graph)
    assert len(moved) == OTHERS[outputs]
    assert all(said.endswith(" for the output, as in the source") for said in moved)


@pytest.mark.parametrize("io", ["integer", "uint8", "float32"])
def test_every_output_follows_io(io: Io) -> None:
    made = quantize(heads("r", "z", "y", "p"))
    data = write_tflite(made.quantized, CARD, io=io)
    shift = 128 if io == "uint8" else 0
    x = (made.x.astype(np.int16) + shift).astype("int8" if io == "integer" else "uint8")
    found = given_by(data, made.real("x", made.x) if io == "float32" else x)
    integers = made.in_litert()
    for name, expected in integers.items():
        params = made.quantized.activations[name]
        theirs = {
            "integer": expected,
            "uint8": (expected.astype(np.int16) + shift).astype(np.uint8),
            "float32": made.real(name, expected),
        }[io]
        np.testing.assert_array_equal(found[name], theirs, strict=True)
        details = Interpreter(model_content=data).get_output_details()
        said = next(detail["quantization"] for detail in details if detail["name"] == name)
        meaning = (params.scale[0], params.zero_point[0] + shift)
        assert said == ((0.0, 0) if io == "float32" else meaning)


def test_scores_that_are_an_image_have_their_classes_last() -> None:
    graph = heads("p", "r", scores="p")
    found = given_by(write_float_tflite(graph, CARD), normal(*graph.input_shape))
    assert (found["p"].shape, found["r"].shape) == ((1, 1, 1, 4), (1, 4, 6, 6))
