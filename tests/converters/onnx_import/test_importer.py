import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.errors import ConvertError, UnsupportedModelError
from edge.tensors import TensorSpec
from tests.converters.models import Constants, assert_same, build, imported, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

CLASSIFIER = (
    "c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b) k = Clip(c, zero, six) "
    "e = Conv<group=4, pads=[1,1,1,1]>(k, d) r = Relu(e) a = Add(r, k) "
    "p = GlobalAveragePool(a) f = Flatten(p) y = Gemm<transB=1>(f, g)"
)
WEIGHTS = {
    "w": normal(4, 3, 3, 3),
    "b": normal(4),
    "d": normal(4, 1, 3, 3),
    "g": normal(5, 4),
    "zero": np.asarray(0, np.float32),
    "six": np.asarray(6, np.float32),
}


def classifier(x: str = "float[1,3,8,8]", opset: int = 17) -> onnx.ModelProto:
    model = build(CLASSIFIER, x, opset=opset)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in WEIGHTS.items())
    return model


@pytest.mark.parametrize("opset", range(11, onnx.defs.onnx_opset_version() + 1))
def test_every_opset(opset: int) -> None:
    graph = assert_same(classifier(opset=opset))
    assert [node.kind for node in graph.nodes] == [
        *("Conv", "Clamp", "Conv", "Clamp", "Add", "GlobalAveragePool", "Reshape", "Gemm")
    ]


@pytest.mark.parametrize(
    ("x", "batch"), [("float[1,3,8,8]", 1), ("float[8,3,8,8]", 8), ("float[N,3,8,8]", 3)]
)
def test_every_batch_becomes_one(x: str, batch: int) -> None:
    assert_same(classifier(x), batch=batch)


def test_the_standard_domain_spelled_out() -> None:
    model = classifier()
    for node in model.graph.node:
        node.domain = "ai.onnx"
    assert len(imported(model).nodes) == 8


def test_initializers_that_are_inputs_too() -> None:
    model = classifier()
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims)
        )
    assert_same(model)


def test_names_are_made_unique() -> None:
    model = build("a = Relu(x) b = Relu(a) c = Relu(b) y = Relu(c)")
    for node, name in zip(model.graph.node, ["n", "n", "", "n"], strict=True):
        node.name = name
    graph = imported(model)
    assert len({node.name for node in graph.nodes}) == 4
    assert graph.nodes[0].name == "n"
    assert graph.nodes[2].name == "Relu_c"


def test_several_outputs_and_one_named_twice() -> None:
    model = build("a = Relu(x) b = Identity(a) c = Flatten(a)", outputs=["c", "b", "a"])
    graph = imported(model)
    # `b` and `a` are one value: it has the name that comes first, and is given again as the other.
    assert graph.outputs == ("c", "b", "a")
    assert [(n.kind, *n.inputs, n.output) for n in graph.nodes] == [
        ("Clamp", "x", "b"),
        ("Reshape", "b", "c"),
        ("Reshape", "b", "a"),
    ]
    assert_same(model)


@pytest.mark.parametrize("names", [["y", "z"], ["z", "y"]])
def test_outputs_that_identity_renames(names: list[str]) -> None:
    body = "a = Conv(x, w) b = Relu(a) y = Identity(a) c = Identity(b) z = Identity(c)"
    graph = assert_same(build(body, outputs=names, w=normal(2, 3, 3, 3)))
    assert graph.outputs == tuple(names)
    assert [(*node.inputs, node.output) for node in graph.nodes] == [("x", "y"), ("y", "z")]


def test_an_output_that_others_read_is_renamed_for_them_too() -> None:
    body = "a = Exp(x) y = Identity(a) b = Add(a, y) z = Relu(b)"
    graph = assert_same(build(body, outputs=["z", "y"]), spread=1)
    assert [node.inputs for node in graph.nodes] == [("x",), ("y", "y"), ("b",)]


def test_outputs_of_several_depths() -> None:
    body = "a = Conv(x, w) b = Relu(a) p = GlobalAveragePool(b) f = Flatten(p) y = Softmax(f)"
    graph = assert_same(build(body, outputs=["y", "f", "a"], w=normal(2, 3, 3, 3)))
    assert graph.outputs == ("y", "f", "a")


def test_several_outputs_of_a_batch() -> None:
    body = "a, b = Split<axis=1, split=[1,2]>(x) y = Identity(b)"
    graph = assert_same(build(body, "float[4,3,8,8]", outputs=["a", "y"], opset=11), batch=4)
    assert [graph.shapes[name] for name in graph.outputs] == [(1, 1, 8, 8), (1, 2, 8, 8)]


def test_all_refusals_at_once() -> None:
    model = build(
        "a = Sin(x) b = Relu(a) c = Conv(b, w) d = Cos(x) e = Conv<group=2>(x, w) "
        "s = Shape(c) g = Gather(s, i) y = own.Thing(x)",
        w=normal(2, 3, 1, 1),
        i=int64(0),
    )
    model.opset_import.append(helper.make_opsetid("own", 1))
    with pytest.raises(UnsupportedModelError) as caught:
        imported(model)
    refused = {refusal.op_type: refusal.reason for refusal in caught.value.refusals}
    # What reads a refused value is not refused for that: Relu, the first Conv, Shape, Gather.
    assert list(refused) == ["Sin", "Cos", "Conv", "Thing"]
    assert refused["Sin"].startswith("not supported; supported are: Abs, Add, AveragePool")
    assert refused["Conv"].startswith("weight (2, 3, 1, 1) does not fit")
    assert refused["Thing"] == "operators of the domain 'own' are not supported"
    message = str(caught.value)
    assert message.startswith("tiny.onnx: 4 nodes cannot be converted:\n  - Sin_a (Sin): ")
    assert len(message.splitlines()) == 5


def test_a_foldable_operator_on_the_image_is_refused() -> None:
    assert_refused(build("y = Mod(x, x)"), "not supported")


def test_a_graph_inside_a_node_is_refused() -> None:
    model = build("y = If(c)", c=np.asarray(True))
    branch = helper.make_graph([], "branch", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", branch))
    assert_refused(model, "not supported")
    model.graph.node[0].op_type = "Relu"
    model.graph.node[0].input[0] = "x"
    assert_refused(model, "attribute 'then_branch' holds a GraphProto")


def test_an_attribute_of_another_type_is_refused() -> None:
    model = build("y = Flatten(x)")
    model.graph.node[0].attribute.append(helper.make_attribute("axis", "one"))
    assert_refused(model, "not as opset 17 defines it")


def test_an_attribute_that_refers_to_a_function_is_refused() -> None:
    model = build("y = Flatten(x)")
    model.graph.node[0].attribute.add(name="axis", ref_attr_name="axis", type=2)
    assert_refused(model, "cannot be read")


@pytest.mark.parametrize("body", ["y = Relu(nowhere)", "b = Relu(y) y = Relu(b)", "y = Relu(y)"])
def test_inputs_that_nothing_before_makes(body: str) -> None:
    assert_refused(build(body, outputs=["y"]), "nothing before it makes its input")


@pytest.mark.parametrize("body", ["y = Relu(x) y = Relu(x)", "x = Relu(x) y = Relu(x)"])
def test_values_made_twice(body: str) -> None:
    with pytest.raises(ConvertError, match="a second time"):
        imported(build(body))


def test_outputs_left_out_are_no_value() -> None:
    body = 'a, "" = Dropout(x{0}) b, "" = Dropout(x{0}) y = Add(a, b)'
    assert len(imported(build(body.format(""))).nodes) == 1
    training: Constants = {"r": np.asarray(0.5, np.float32), "t": np.asarray(True)}
    with pytest.raises(UnsupportedModelError, match="2 nodes cannot be converted"):
        imported(build(body.format(", r, t"), **training))


def test_a_second_output_over_a_value() -> None:
    with pytest.raises(ConvertError, match="makes 'x' a second time"):
        imported(build("y, x = Dropout(x)"))


def test_a_node_without_output_is_refused() -> None:
    model = build("y = Relu(x) z = Relu(x)")
    model.graph.node[1].output[0] = ""
    assert_refused(model, "its first output has no name")
    del model.graph.node[1].output[:]
    assert_refused(model, "its first output has no name")


@pytest.mark.parametrize(
    ("body", "outputs", "reason"),
    [
        ("y = Relu(x)", [], "the graph has no output"),
        ("y = Relu(x)", ["z"], "output 'z' does not depend on the image"),
        ("y = Shape(x)", ["y"], "output 'y' does not depend on the image"),
        ("y = Identity(x)", ["y"], "gives its input back unchanged"),
        ("y = Relu(x)", ["y", "x"], "gives its input back unchanged; export it without output 'x'"),
        (
            "y = Relu(x) z = Identity(x)",
            ["y", "z"],
            "its input back unchanged; export it without output 'z'",
        ),
        ("y = Relu(x)", ["y", "y"], "two outputs are called 'y'"),
    ],
)
def test_outputs(body: str, outputs: list[str], reason: str) -> None:
    with pytest.raises(ConvertError, match=reason):
        imported(build(body, outputs=outputs))


@pytest.mark.parametrize(
    "body",
    [
        "q = QuantizeLinear(x, s) y = DequantizeLinear(q, s)",
        "y = QLinearConv(x, s, s, s, s, s, s, s)",
        "y = ConvInteger(x, s)",
        "y, a, b = DynamicQuantizeLinear(x)",
    ],
)
def test_a_quantized_model_is_refused(body: str) -> None:
    with pytest.raises(ConvertError, match=r"already quantized .* give the float32 model"):
        imported(build(body, s=np.asarray(0.1, np.float32)))


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        ("float16[1,3,8,8]", "input 'x' is FLOAT16; only float32"),
        ("int64[1,3,8,8]", "input 'x' is INT64; only float32"),
        ("uint8[1,3,8,8]", "input 'x' is UINT8; only float32"),
        ("float[1,3,8]", r"shape \[1, 3, 8\], which is not one image"),
        ("float[1,4,8,8]", r"not one image; allowed: \[batch, C, H, W\] or"),
        ("float[1,C,8,8]", r"shape \[1, \?, 8, 8\], which is not one image"),
        ("float[1,3,H,W]", r"height and width must be fixed numbers"),
        ("float[1,3,8,0]", "height and width must be fixed"),
        ("float[1,128]", "which is not one image"),
        ("float", "which is not one image"),
        ("seq(float[1,3,8,8])", "is no tensor"),
    ],
)
def test_other_inputs(x: str, reason: str) -> None:
    with pytest.raises(ConvertError, match=reason):
        imported(build("y = Relu(x)", x))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [1, 3])
def test_a_width_that_could_be_channels_is_refused(channels: int, width: int) -> None:
    with pytest.raises(ConvertError, match=rf"{width}\], which could be \[batch, C, H, W\] or"):
        imported(build("y = Relu(x)", f"float[1,{channels},8,{width}]"))
    # A height is never mistaken, nor is any other width.
    for size in (f"{width},8", f"8,{width + 1}"):
        graph = imported(build("y = Relu(x)", f"float[1,{channels},{size}]"))
        layout, *_ = TensorSpec("x", graph.input_shape, "float32").image_geometry()
        assert layout == "NCHW"


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last(channels: int) -> None:
    graph = imported(build("y = Relu(x)", f"float[1,8,5,{channels}]"))
    layout, *_ = TensorSpec("x", graph.input_shape, "float32").image_geometry()
    assert layout == "NHWC"


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_an_image_without_pixels_or_pictures_is_refused(axis: int) -> None:
    model = build("y = Relu(x)")
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 0
    with pytest.raises(ConvertError, match=r"input 'x' has shape \["):
        imported(model)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("side", [-1, -(2**62), 2**62])
def test_sides_out_of_range(axis: int, side: int) -> None:
    model = build("y = Relu(x)")
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = side
    with pytest.raises(ConvertError, match="input 'x' has shape"):
        imported(model)


def test_an_unknown_element_type() -> None:
    model = build("y = Relu(x)")
    model.graph.input[0].type.tensor_type.elem_type = 999
    with pytest.raises(ConvertError, match="input 'x' is no tensor"):
        imported(model)


def test_two_inputs_and_none() -> None:
    model = build("y = Relu(x)")
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    with pytest.raises(ConvertError, match=r"has 2 inputs \(x, mask\); a classifier has one"):
        imported(model)
    del model.graph.input[:]
    with pytest.raises(ConvertError, match=r"has 0 inputs \(none\)"):
        imported(model)


def test_float16_weights_are_refused() -> None:
    model = build("y = Conv(x, w)", w=normal(2, 3, 1, 1).astype(np.float16))
    with pytest.raises(ConvertError, match="tensor 'w' is float16; export the model in float32"):
        imported(model)


@pytest.mark.parametrize("dims", [[-1, 3, 1, 1], [1 << 40, 3, 1, 1], [2, 3, 1, 2], [1 << 62] * 4])
def test_tensors_whose_data_does_not_fit(dims: list[int]) -> None:
    model = build("y = Conv(x, w)", w=normal(2, 3, 1, 1))
    model.graph.initializer[0].dims[:] = dims
    with pytest.raises(ConvertError, match="the data of tensor 'w' does not fit its shape"):
        imported(model)


def test_scales_that_are_no_list_are_refused() -> None:
    scales = np.ones((4, 1), np.float32)
    model = build('y = Resize<mode="linear">(x, "", s)', s=scales)
    assert_refused(model, "neither sizes nor scales")


def test_a_scale_that_nothing_fits_is_refused() -> None:
    scales = np.asarray([1, 1, 1, 3e38], np.float32)
    assert_refused(build('y = Resize<mode="linear">(x, "", s)', s=scales), "too large")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_attributes_that_are_not_finite_are_refused(value: float) -> None:
    model = build("y = HardSigmoid(x)")
    model.graph.node[0].attribute.append(helper.make_attribute("alpha", value))
    assert_refused(model, f"attribute alpha is {value}; a finite number belongs there")
