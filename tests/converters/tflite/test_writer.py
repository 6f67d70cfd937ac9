import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from converters.errors import ConvertError
from converters.quantize.quantized import Io
from converters.tflite.writer import moves, write_tflite
from tests.converters.artifacts import CARD, Artifacts, make, opcodes, quantize
from tests.converters.models import build, f32, imported, normal

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
