import numpy as np
import onnx
import pytest

from converters.errors import UnsupportedModelError
from converters.onnx_import.importer import import_quantized
from converters.onnx_qdq.writer import write_float
from converters.operators import Clamp, Constant, Conv, Requantize
from converters.quantize.params import QuantParams
from edge.tensors import Array
from tests.converters.models import Constants, f32, normal, run
from tests.converters.qdq import pair, text

CONSTANTS: Constants = {
    "s": f32(0.05),
    "z": np.asarray(-3, np.int8),
    "s3": f32([0.1, 0.2, 0.3]),
    "z3": np.zeros(3, np.int8),
    "w": np.arange(-54, 54, dtype=np.int8).reshape(4, 3, 3, 3),
    "wf": normal(4, 3, 3, 3),
    "s4": f32([0.01, 0.02, 0.03, 0.04]),
    "z4": np.zeros(4, np.int8),
    "b": np.asarray([1, -2, 3, 2**31 - 1], np.int32),
}


def model(body: str, opset: int = 17, **constants: Array) -> onnx.ModelProto:
    return text(body, opset=opset, **{**CONSTANTS, **constants})


@pytest.mark.parametrize(
    ("zero_point", "expected"),
    [
        (np.asarray(-3, np.int8), -3),
        (np.asarray(125, np.uint8), -3),
        (np.asarray([255], np.uint8), 127),
        (np.asarray(0, np.uint8), -128),
    ],
)
def test_an_activation_is_read_as_int8(zero_point: Array, expected: int) -> None:
    graph, given = import_quantized(model(pair("x", "y", "s, zp"), zp=zero_point), "tiny")
    (node,) = graph.nodes
    assert node.operator == Requantize(QuantParams((float(f32(0.05)),), (expected,)))
    assert given == {}


def test_a_zero_point_that_is_left_out_is_that_of_uint8() -> None:
    body = "q = QuantizeLinear(x, s) y = DequantizeLinear(q, s)"
    (node,) = import_quantized(model(body), "tiny")[0].nodes
    assert node.operator == Requantize(QuantParams((float(f32(0.05)),), (-128,)))


def test_or_of_the_type_that_the_node_names() -> None:
    body = "q = QuantizeLinear<output_dtype=3>(x, s) y = DequantizeLinear(q, s, zero)"
    (node,) = import_quantized(model(body, 21, zero=np.asarray(0, np.int8)), "tiny")[0].nodes
    assert node.operator == Requantize(QuantParams((float(f32(0.05)),), (0,)))


@pytest.mark.parametrize(
    "weight",
    [
        "wd = DequantizeLinear<axis=0>(w, s4, z4)",
        "wd = DequantizeLinear<axis=-4>(w, s4)",
        "wd = DequantizeLinear(w, s)",
        "wq = QuantizeLinear<axis=0>(wf, s4, z4) wd = DequantizeLinear<axis=0>(wq, s4, z4)",
        "wq = QuantizeLinear(wf, s, z) wd = DequantizeLinear(wq, s, z)",
    ],
)
def test_constants_are_what_onnxruntime_reads(weight: str) -> None:
    graph, given = import_quantized(model(f"{weight} y = Conv(x, wd)"), "tiny")
    (node,) = graph.nodes
    assert isinstance(node.operator, Conv)
    probe = model(f"{weight} y = Add(wd, none)", none=f32(0))
    (expected,) = run(probe, normal(1, 3, 8, 8))
    np.testing.assert_array_equal(node.operator.weight, expected)
    held = given[node.name].weight
    assert held is not None
    assert held.integers.dtype == np.int8
    assert given[node.name].bias is None


def test_biases_keep_what_no_float_holds() -> None:
    body = "wd = DequantizeLinear<axis=0>(w, s4) bd = DequantizeLinear<axis=0>(b, s4) "
    graph, given = import_quantized(model(body + "y = Conv(x, wd, bd)"), "tiny")
    held = given[graph.nodes[0].name].bias
    assert held is not None
    np.testing.assert_array_equal(held.integers, CONSTANTS["b"])


def test_integers_are_followed_through_what_only_moves_them() -> None:
    body = (
        "d = DequantizeLinear<axis=0>(m, s4) t = Transpose<perm=[1,0]>(d) i = Identity(t) "
        "g = GlobalAveragePool(x) f = Flatten(g) y = MatMul(f, i)"
    )
    graph, given = import_quantized(model(body, m=CONSTANTS["w"][:, :, 0, 0].copy()), "tiny")
    held = given[graph.nodes[-1].name].weight
    assert held is not None
    np.testing.assert_array_equal(held.integers, CONSTANTS["w"][:, :, 0, 0].T)
    # A sum is not the same integers any more.
    other = body.replace("i = Identity(t)", "i = Add(t, t)")
    graph, given = import_quantized(model(other, m=CONSTANTS["w"][:, :, 0, 0].copy()), "tiny")
    assert given[graph.nodes[-1].name].weight is None


def test_a_constant_operand_keeps_its_meaning() -> None:
    body = "d = DequantizeLinear(k, s, z) y = Add(x, d)"
    graph, given = import_quantized(model(body, k=np.ones((1, 3, 8, 8), np.int8)), "tiny")
    constant = graph.nodes[0]
    assert isinstance(constant.operator, Constant)
    held = given[constant.name].weight
    assert held is not None
    assert held.params == QuantParams((float(f32(0.05)),), (-3,))


def test_an_activation_may_have_a_scale_for_each_channel() -> None:
    body = "q = QuantizeLinear<axis=1>(x, s3, z) y = DequantizeLinear<axis=1>(q, s3, z)"
    given = model(body, z=np.asarray([128, 0, 255], np.uint8))
    graph, _ = import_quantized(given, "tiny")
    (node,) = graph.nodes
    scales = tuple(float(f32(scale)) for scale in (0.1, 0.2, 0.3))
    assert node.operator == Requantize(QuantParams(scales, (0, -128, 127), 1))
    x = normal(1, 3, 8, 8, spread=20)
    (ours,), (theirs,) = run(write_float(graph), x), run(given, x)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("kind", "zero_point"),
    [(onnx.TensorProto.INT4, 0), (onnx.TensorProto.INT4, -3), (onnx.TensorProto.UINT4, 8)],
)
def test_weights_of_4_bits_are_held_as_bytes(kind: int, zero_point: int) -> None:
    body = "d = DequantizeLinear<axis=0>(w4, s4, z4bit) y = Conv(x, d)"
    given = model(body, 21)
    low = -8 if kind == onnx.TensorProto.INT4 else 0
    values = np.arange(12) % 16 + low
    for name, held in (("w4", values.reshape(4, 3, 1, 1)), ("z4bit", np.full(4, zero_point))):
        tensor = onnx.helper.make_tensor(name, kind, held.shape, held.reshape(-1))
        given.graph.initializer.append(tensor)
    graph, constants = import_quantized(given, "tiny")
    (node,) = graph.nodes
    assert isinstance(node.operator, Conv)
    steps = (values - zero_point).reshape(4, 3, 1, 1).astype(np.float32)
    along = CONSTANTS["s4"].reshape(4, 1, 1, 1)
    np.testing.assert_array_equal(node.operator.weight, steps * along)
    held_weight = constants[node.name].weight
    assert held_weight is not None
    np.testing.assert_array_equal(held_weight.integers.reshape(-1), values)
    x = normal(1, 3, 8, 8)
    (ours,), (theirs,) = run(write_float(graph), x), run(given, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_single_number_may_be_held_as_integers() -> None:
    """As AIMET holds the limits of a clamp."""
    body = "q = QuantizeLinear(six, t, u) d = DequantizeLinear(q, t, u) y = Clip(x, , d)"
    given = model(body, six=f32(6.3), t=f32(6 / 255), u=np.asarray(0, np.uint8))
    graph, _ = import_quantized(given, "tiny")
    (node,) = graph.nodes
    assert isinstance(node.operator, Clamp)
    assert node.operator.high == float(f32(6 / 255) * f32(255))


def test_onnxruntimes_own_nodes_are_read_alike() -> None:
    body = (
        "q = com.microsoft.QuantizeLinear(x, s, z) d = com.microsoft.DequantizeLinear(q, s, z) "
        "v = com.microsoft.DequantizeLinear<axis=0>(w, s4, z4) c = Conv(d, v) "
        "y = com.microsoft.Gelu(c)"
    )
    given = model(body.replace("com.microsoft.Gelu", "Relu"))
    given.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    graph, _ = import_quantized(given, "tiny")
    assert [node.kind for node in graph.nodes] == ["Requantize", "Conv", "Clamp"]
    x = normal(1, 3, 8, 8)
    (ours,), (theirs,) = run(write_float(graph), x), run(given, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    with pytest.raises(UnsupportedModelError, match=r"domain 'com\.microsoft' are not supported"):
        import_quantized(model(body), "tiny")


REFUSED = {
    "channels read along another axis": (
        "q = QuantizeLinear<axis=1>(x, s8, z8s) y = DequantizeLinear<axis=2>(q, s8, z8s)",
        "8 scales for axis 1 of a value of shape (1, 3, 8, 8)",
    ),
    "integers a channel, clipped": (
        "q = QuantizeLinear<axis=1>(x, s3, z3) y = Clip(q, z)",
        "a scale for each channel",
    ),
    "16 bits": (pair("x", "y", "s, z16"), "integers of type int16"),
    "16 bits, unsigned": (pair("x", "y", "s, zu16"), "integers of type uint16"),
    "4 bits": (pair("x", "y", "s, z4bit"), "integers of type int4"),
    "float8": (pair("x", "y", "s, z8"), "integers of type float8_e4m3fn"),
    "16 bits by name": ("q = QuantizeLinear<output_dtype=5>(x, s) y = DequantizeLinear(q, s)",
                        "integers of type number 5 of ONNX's"),
    "weights of 16 bits": ("d = DequantizeLinear(w16, s) y = Conv(x, d)", "integers of type int16"),
    "blocks of 4 bits": (
        "d = DequantizeLinear<axis=1, block_size=3>(w4, sb) y = Conv(x, d)",
        "scales for blocks of values",
    ),
    "weights made of 4 bits": (
        "q = QuantizeLinear(wf, s, z4bit) d = DequantizeLinear(q, s, z4bit) y = Conv(x, d)",
        "integers of type int4",
    ),
    "blocks": (
        "d = DequantizeLinear<axis=1, block_size=3>(w1, sb) y = Conv(x, d)",
        "scales for blocks of values",
    ),
    "32 bits with a zero point": (
        "d = DequantizeLinear(b, s, z32) y = Conv(x, wf, d)",
        "32-bit integers with a zero point other than 0",
    ),
    "read otherwise": (
        "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, t, z)",
        "under another scale or zero point",
    ),
    "read by another operator": (
        "q = QuantizeLinear(x, s, z) r = Abs(q) y = DequantizeLinear(r, s, z)",
        "only a DequantizeLinear may read what a QuantizeLinear makes",
    ),
    "no integers": ("y = DequantizeLinear(x, s)", "no integers of a QuantizeLinear before it"),
    "a type that there is none of": (
        "q = QuantizeLinear<output_dtype=99>(x, s) y = DequantizeLinear(q, s)",
        "integers of type number 99 of ONNX's",
    ),
    "infinite weights": (
        "d = DequantizeLinear(w, huge) y = Conv(x, d)",
        "its constant input 1 holds NaN or infinity",
    ),
    "limits computed from the image": (
        "q = QuantizeLinear(x, s, z) c = Clip(q, x) y = DequantizeLinear(c, s, z)",
        "computed from the image",
    ),
    "limits of another type": (
        "q = QuantizeLinear(x, s, z) c = Clip(q, s) y = DequantizeLinear(c, s, z)",
        "its limits are no integers as its input",
    ),
    "scale of 0": (pair("x", "y", "nil, z"), "scale"),
    "negative scale": (pair("x", "y", "below, z"), "is no positive normal float32"),
    "scales for other channels": (
        "d = DequantizeLinear<axis=0>(w, s3) y = Conv(x, d)",
        "3 scales for axis 0 of a value of shape (4, 3, 3, 3)",
    ),
    "zero points for other channels": (
        "d = DequantizeLinear<axis=0>(w, s4, z3) y = Conv(x, d)",
        "zero points int8[3] do not fit scales [4] of int8 values",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_int8_form_is_refused(case: str) -> None:
    body, reason = REFUSED[case]
    given = model(
        body,
        23,
        z16=np.asarray(0, np.int16),
        zu16=np.asarray(0, np.uint16),
        z32=np.asarray(5, np.int32),
        w16=CONSTANTS["w"].astype(np.int16),
        w1=np.ones((4, 3, 1, 1), np.int8),
        sb=np.ones((4, 1, 1, 1), np.float32),
        t=f32(0.06),
        nil=f32(0),
        below=f32(-0.1),
        huge=f32(3e38),
        s8=np.full(8, 0.1, np.float32),
        z8s=np.zeros(8, np.int8),
    )
    for name, kind, shape in (
        ("z4bit", onnx.TensorProto.INT4, ()),
        ("w4", onnx.TensorProto.INT4, (4, 3, 1, 1)),
        ("z8", onnx.TensorProto.FLOAT8E4M3FN, ()),
    ):
        zeros = [0] * int(np.prod(shape))
        given.graph.initializer.append(onnx.helper.make_tensor(name, kind, shape, zeros))
    with pytest.raises(UnsupportedModelError) as caught:
        import_quantized(given, "tiny")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("q = QLinearConv(x, s, z, w, s4, z4, s, z) y = Relu(q)", "QDQ form"),
        ("q = ConvInteger(x, w) y = Cast<to=1>(q)", "QDQ form"),
        ("q, e, f = DynamicQuantizeLinear(x) y = DequantizeLinear(q, e, f)", "static, not dynamic"),
        ("q = com.microsoft.QLinearAdd(x, s, z, x, s, z, s, z) y = Relu(q)", "QDQ form"),
    ],
)
def test_operators_of_integers_are_refused_with_what_to_do(body: str, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        import_quantized(model(body), "tiny")
