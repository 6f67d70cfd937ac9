from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.errors import ConvertError
from converters.graph import Graph
from converters.onnx_import.importer import import_onnx
from converters.onnx_import.inputs import MAX_SIDE, static_inputs
from converters.onnx_qdq.writer import write_float
from converters.passes.lower_affine import lower_affine
from tests.converters.models import assert_same, build, imported, normal, session

NHWC = "float[1,8,8,3]"
TO_NCHW = "t = Transpose<perm=[0,3,1,2]>(x) "


@pytest.mark.parametrize("x", [NHWC, "float[N,8,8,3]", "float[1,5,7,1]"])
def test_images_with_channels_last(x: str) -> None:
    channels = int(x.rstrip("]").split(",")[-1])
    body = f"{TO_NCHW} c = Conv(t, w) p = GlobalAveragePool(c) y = Flatten(p)"
    graph = assert_same(build(body, x, w=normal(4, channels, 3, 3)))
    assert graph.input_shape[3] == channels
    assert graph.shapes["y"] == (1, 4)


def test_a_batch_of_images_with_channels_last_becomes_one() -> None:
    body = f"{TO_NCHW} c = Conv(t, w) y = Transpose<perm=[0,2,3,1]>(c)"
    graph = assert_same(build(body, "float[4,8,8,3]", w=normal(5, 3, 3, 3)), batch=4)
    assert graph.input_shape == (1, 8, 8, 3)
    assert graph.shapes["y"] == (1, 6, 6, 5)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_channels_last_are_no_image(channels: int) -> None:
    with pytest.raises(ConvertError, match="not one image"):
        imported(build("y = Relu(x)", f"float[1,8,8,{channels}]"))


@pytest.mark.parametrize("x", ["float[1,H,8,3]", "float[1,8,W,3]", f"float[1,{MAX_SIDE + 1},1,3]"])
def test_sides_of_images_with_channels_last(x: str) -> None:
    with pytest.raises(ConvertError, match="height and width must be fixed"):
        imported(build("y = Relu(x)", x))


def open_model(body: str, inputs: dict[str, str], *outputs: str) -> onnx.ModelProto:
    """Return a model of several inputs: by name, in ONNX's text form."""
    model = build(body, outputs=outputs)
    typed = ", ".join(f"{kind} {name}" for name, kind in inputs.items())
    parsed = onnx.parser.parse_graph(f"tiny ({typed}) => () {{ }}")
    del model.graph.input[:]
    model.graph.input.extend(parsed.input)
    return model


def read(model: onnx.ModelProto) -> Graph:
    return import_onnx(model, "tiny.onnx", static_inputs)


def assert_same_numbers(model: onnx.ModelProto) -> Graph:
    """Import a model with `static_inputs`, and hold the Graph against it in ONNX Runtime."""
    graph = read(model)
    feeds = {
        name: normal(*shape, seed=index) for index, (name, shape) in enumerate(graph.inputs.items())
    }
    written = session(write_float(lower_affine(graph).graph))
    expected = session(model).run(None, feeds)
    for ours, theirs in zip(written.run(None, feeds), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        assert ours.shape == theirs.shape
    return graph


@pytest.mark.parametrize(
    "shape", ["float[8,3,8,8]", "float[5]", "float[2,7]", "float", "float[1,2,3,4,5,6]"]
)
def test_any_fixed_shape(shape: str) -> None:
    assert_same_numbers(open_model("a = Tanh(x) y = Add(a, x)", {"x": shape}, "y"))


def test_several_inputs_and_outputs() -> None:
    inputs = {"q": "float[2,4,6]", "k": "float[2,5,6]", "scale": "float"}
    body = (
        "t = Transpose<perm=[0,2,1]>(k) m = MatMul(q, t) s = Mul(m, scale) "
        "p = Softmax(s) y = MatMul(p, k)"
    )
    graph = assert_same_numbers(open_model(body, inputs, "y", "p"))
    assert dict(graph.inputs) == {"q": (2, 4, 6), "k": (2, 5, 6), "scale": ()}
    assert graph.outputs == ("y", "p")


def test_a_first_side_is_not_taken_for_a_batch() -> None:
    model = open_model("y = Reshape(x, s)", {"x": "float[6,4]"}, "y")
    model.graph.initializer.append(numpy_helper.from_array(np.asarray([6, 2, 2]), "s"))
    assert assert_same_numbers(model).shapes["y"] == (6, 2, 2)


def test_initializers_among_the_inputs_are_constants() -> None:
    model = open_model("y = Add(x, c)", {"x": "float[2,3]", "c": "float[3]"}, "y")
    model.graph.initializer.append(numpy_helper.from_array(normal(3), "c"))
    graph = read(model)
    assert list(graph.inputs) == ["x"]
    assert [node.kind for node in graph.nodes] == ["Affine"]


def test_one_of_several_inputs_is_not_the_one() -> None:
    graph = read(open_model("y = Add(a, b)", {"a": "float[2]", "b": "float[2]"}, "y"))
    with pytest.raises(ConvertError, match=r"tiny has 2 inputs \(a, b\)"):
        _ = graph.input_shape


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("float[N,3]", r"input 'x' has shape \[\?, 3\]; only fixed sides above 0"),
        ("float[2,0]", r"input 'x' has shape \[2, 0\]; only fixed sides above 0"),
        ("float[]", "input 'x' has no shape"),
        ("int64[2]", "input 'x' is INT64; only float32"),
        ("float16[2]", "input 'x' is FLOAT16; only float32"),
        ("seq(float[2])", "input 'x' is no tensor"),
    ],
)
def test_inputs_that_are_refused(kind: str, reason: str) -> None:
    with pytest.raises(ConvertError, match=reason):
        read(open_model("y = Relu(x)", {"x": kind}, "y"))


def test_a_side_below_zero() -> None:
    model = open_model("y = Relu(x)", {}, "y")
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, -3]))
    with pytest.raises(ConvertError, match="only fixed sides above 0"):
        read(model)
