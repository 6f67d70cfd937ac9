"""Every operator in both artifacts, against exact arithmetic on their own integers.

`exact` is float arithmetic on the dequantized input, weights and biases: an int8 kernel sums the
same products in integers, without any error, and then rounds once to the output's steps.
"""

from collections.abc import Mapping

import numpy as np
import pytest

from converters.errors import ConvertError, UnsupportedModelError
from converters.onnx_qdq.writer import write_float
from converters.operators import Conv
from edge.tensors import Array
from tests.converters.artifacts import Artifacts, make, opcodes, steps_apart
from tests.converters.models import f32, normal, run

# One rounding: half a step. 2^-9 of a step for the kernels' own arithmetic: requantization in
# float32 or with a 31-bit multiplier, and the rounding of `exact` itself.
ROUNDING = 0.5 + 2**-9

CONSTANTS: Mapping[str, Array] = {
    "w": normal(8, 3, 3, 3, spread=0.3),
    "b": normal(8, seed=5),
    "k": normal(8, 3, 1, 1, spread=0.3),
    "one": normal(4, 1, 3, 3, spread=0.3),
    "d": normal(3, 1, 3, 3, spread=0.3),
    "d2": normal(6, 1, 3, 3, spread=0.3),
    "d5": normal(3, 1, 5, 5, spread=0.3),
    "tiny": normal(3, 3, 1, 1, spread=0.002),
    "huge": normal(3, 3, 1, 1, spread=100),
    "g": normal(48, 8, spread=0.2),
    "h": normal(8, 5, spread=0.5),
    "zero": f32(0),
    "six": f32(6),
    "m1": f32(-1),
    "p1": f32(1),
    "p3": f32(3),
    "m2": f32(-2),
    "p2": f32(2),
}


X = "float[1,3,8,8]"


def artifacts(body: str, x: str = X, *outputs: str) -> Artifacts:
    return make(body, x, outputs=outputs or ("y",), **CONSTANTS)


def assert_within(made: Artifacts, allowed: float = ROUNDING, apart: int = 1) -> None:
    """Hold the artifacts to `exact` within `allowed` steps, and to each other within `apart`."""
    exact, litert = made.exact(), made.in_litert()
    for activation in ("uint8", "int8"):
        onnx = made.in_onnx(activation)
        for name, expected in exact.items():
            for integers in (onnx[name], litert[name]):
                error = np.abs(made.real(name, integers) - expected).max() / made.step(name)
                assert error <= allowed, (name, activation, error)
            assert steps_apart(onnx[name], litert[name]) <= apart


CONVOLUTIONS = {
    "dense": ("Conv<pads=[1,1,1,1]>(x, w, b)", "8,8"),
    "1x1": ("Conv(x, k, b)", "8,8"),
    "1x1, stride 2": ("Conv<strides=[2,2]>(x, k)", "8,8"),
    "VALID": ("Conv(x, w, b)", "8,8"),
    "VALID with a row to spare": ("Conv<strides=[2,2]>(x, w)", "8,9"),
    "SAME, odd, stride 2": ("Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)", "9,7"),
    "SAME, even, stride 2": ("Conv<pads=[0,0,1,1], strides=[2,2]>(x, w, b)", "8,8"),
    "SAME, even, stride 2, padding never read": (
        "Conv<pads=[0,0,2,2], strides=[2,2]>(x, w)",
        "8,8",
    ),
    "unequal strides": ("Conv<pads=[1,1,1,1], strides=[1,3]>(x, w)", "7,7"),
    "dilated": ("Conv<pads=[2,2,2,2], dilations=[2,2]>(x, w, b)", "8,8"),
    "dilated, VALID": ("Conv<dilations=[2,3]>(x, w)", "8,8"),
    "depthwise": ("Conv<pads=[1,1,1,1], group=3>(x, d)", "8,8"),
    "depthwise 5x5": ("Conv<pads=[2,2,2,2], group=3>(x, d5)", "8,8"),
    "depthwise, stride 2": ("Conv<pads=[1,1,1,1], strides=[2,2], group=3>(x, d)", "9,9"),
    "depthwise, dilated": ("Conv<pads=[2,2,2,2], dilations=[2,2], group=3>(x, d)", "8,8"),
    "depth multiplier": ("Conv<pads=[1,1,1,1], group=3>(x, d2)", "8,8"),
}
PADDED = {
    "symmetric, even, stride 2": ("Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)", "8,8"),
    "depthwise, symmetric, even, stride 2": (
        "Conv<pads=[1,1,1,1], strides=[2,2], group=3>(x, d)",
        "8,8",
    ),
    "too much": ("Conv<pads=[3,3,3,3]>(x, w)", "8,8"),
    "one side": ("Conv<pads=[2,0,0,1]>(x, w)", "8,8"),
    "before 1x1": ("Conv<pads=[1,1,1,1]>(x, k)", "8,8"),
}


@pytest.mark.parametrize("name", [*CONVOLUTIONS, *PADDED])
def test_convolution(name: str) -> None:
    body, size = {**CONVOLUTIONS, **PADDED}[name]
    made = artifacts(f"y = {body}", f"float[1,3,{size}]")
    assert_within(made)
    assert opcodes(made.tflite).count("PAD") == (name in PADDED)


def test_convolution_of_one_channel() -> None:
    assert_within(artifacts("y = Conv(x, one)", "float[1,1,8,8]"))


CLAMPS = {
    "ReLU": "Relu({})",
    "ReLU6": "Clip({}, zero, six)",
    "-1 to 1": "Clip({}, m1, p1)",
    "0 to 3": "Clip({}, zero, p3)",
    "-2 to 2": "Clip({}, m2, p2)",
    "from -2": "Clip({}, m2)",
}
CARRIERS = {
    "Conv": "a = Conv<pads=[1,1,1,1]>(x, w, b) y = ",
    "depthwise": "a = Conv<pads=[1,1,1,1], group=3>(x, d) y = ",
    "Add": "q = Identity(x) a = Add(x, q) y = ",
    "Gemm": "f = Flatten(x) a = Gemm(f, g, b) y = ",
}


@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_clamps_that_are_carried(carrier: str, clamp: str) -> None:
    made = artifacts(CARRIERS[carrier] + CLAMPS[clamp].format("a"), "float[1,3,4,4]")
    # An end of the range may lie half a step beyond the clamp, where the zero point was rounded.
    assert_within(made)
    # It is in no file a node of its own: the integers saturate there, or TFLite has it fused.
    assert len([code for code in opcodes(made.tflite) if code != "RESHAPE"]) == 1
    assert not {"Clip", "Relu"} & {node.op_type for node in made.onnx.graph.node}


@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize(
    "before", ["a = Identity(x)", "a = MaxPool<kernel_shape=[2,2]>(x)", "a = GlobalAveragePool(x)"]
)
def test_clamps_that_stand_alone(before: str, clamp: str) -> None:
    made = artifacts(f"{before} y = {CLAMPS[clamp].format('a')}")
    chain = 0.5 * made.step("a") / made.step("y") if "Global" in before else 0
    # XNNPACK's change of scale keeps 8 fraction bits of the factor: 2^-9 off, times 255 steps.
    factor = 255 * 2**-9 if "QUANTIZE" in opcodes(made.tflite) else 0
    assert_within(made, ROUNDING + chain + factor)


def test_clamp_with_a_second_reader() -> None:
    made = artifacts("c = Conv(x, k) r = Relu(c) y = MaxPool<kernel_shape=[2,2]>(r)", X, "y", "c")
    # c is rounded, and its half step comes out of the clamp as it went in.
    assert_within(made, ROUNDING + 0.5 * made.step("c") / made.step("r"), apart=2)


@pytest.mark.parametrize("other", ["tiny", "huge"])
@pytest.mark.parametrize("last", ["Identity(a)", "Relu(a)"])
def test_add_of_very_different_scales(other: str, last: str) -> None:
    made = artifacts(f"c = Conv(x, {other}) a = Add(c, x) y = {last}")
    (output,) = made.graph.outputs
    assert_within(made, ROUNDING + 0.5 * made.step("c") / made.step(output), apart=2)


def test_add_of_a_value_to_itself_and_of_a_shortcut() -> None:
    assert_within(artifacts("a = Identity(x) y = Add(a, x)"))
    made = artifacts("r = Relu(x) y = Add(r, x)")
    assert_within(made, ROUNDING + 0.5 * made.step("r") / made.step("y"))


@pytest.mark.parametrize(
    "pool",
    [
        "MaxPool<kernel_shape=[2,2], strides=[2,2]>",
        "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>",
        "MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[0,0,1,1]>",
        "MaxPool<kernel_shape=[3,2]>",
    ],
)
def test_max_pool_is_exact(pool: str) -> None:
    assert_within(artifacts(f"y = {pool}(x)"), allowed=1e-6, apart=0)


@pytest.mark.parametrize(
    "pool",
    [
        "AveragePool<kernel_shape=[2,2], strides=[2,2]>",
        "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>",
        "AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[0,0,1,1]>",
        "AveragePool<kernel_shape=[3,2]>",
    ],
)
def test_average_pool(pool: str) -> None:
    # Halves are rounded to even by one runtime and away from zero by the other.
    assert_within(artifacts(f"y = {pool}(x)"))


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pools_whose_padding_tflite_cannot_say(kind: str) -> None:
    pool = f"{kind}<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>"
    assert artifacts(f"y = {pool}(x)", "float[1,3,9,9]").tflite
    made = artifacts(f"y = {pool}(x)", X)
    with pytest.raises(UnsupportedModelError, match="neither TFLite's SAME nor VALID"):
        _ = made.tflite


@pytest.mark.parametrize("size", ["8,8", "7,7", "1,2", "5,4"])
def test_global_average_pool(size: str) -> None:
    assert_within(artifacts("y = GlobalAveragePool(x)", f"float[1,3,{size}]"))


def test_global_average_pool_of_one_pixel() -> None:
    assert_within(artifacts("m = MaxPool<kernel_shape=[8,8]>(x) y = GlobalAveragePool(m)"))


@pytest.mark.parametrize("last", ["Flatten(p)", "Reshape(p, shape)"])
def test_flattened_vector_as_an_output(last: str) -> None:
    shape = np.asarray([1, -1])
    made = make(f"p = GlobalAveragePool(x) y = {last}", X, shape=shape)
    assert_within(made)
    assert opcodes(made.tflite) == ["MEAN", "RESHAPE"]


def test_gemm_on_a_flattened_image_takes_its_columns_in_tflites_order() -> None:
    made = artifacts("f = Flatten(x) y = Gemm(f, g, b)", "float[1,3,4,4]")
    assert_within(made)
    assert opcodes(made.tflite)[0] != "TRANSPOSE"


def test_gemm_behind_a_clamp_on_a_flattened_image() -> None:
    made = artifacts("f = Flatten(x) r = Clip(f, m2, p2) y = Gemm(r, g)", "float[1,3,4,4]")
    gain = np.abs(CONSTANTS["g"]).sum(axis=0).max()
    assert_within(made, ROUNDING + 0.5 * made.step("r") * gain / made.step("y"), apart=2)


@pytest.mark.parametrize("activation", ["r = Relu(a)", "r = Clip(a, zero, p3)"])
def test_chained_gemms(activation: str) -> None:
    body = f"f = Flatten(x) a = Gemm(f, g, b) {activation} y = Gemm(r, h)"
    made = artifacts(body, "float[1,3,4,4]")
    # Each of the first one's values is off by half a step, and the second weighs and adds them.
    gain = np.abs(CONSTANTS["h"]).sum(axis=0).max()
    assert_within(made, ROUNDING + 0.5 * made.step("r") * gain / made.step("y"), apart=2)


def test_softmax_head() -> None:
    made = artifacts("f = Flatten(x) l = Gemm(f, g, b) y = Softmax(l)", "float[1,3,4,4]")
    # The rows of softmax's derivative, |p_i (1_ij - p_j)|, sum to 2 p (1 - p), at most 1/2. One
    # step more: TFLite's kernel computes exp with few bits and rounds twice.
    assert_within(made, ROUNDING + 0.5 * 0.5 * made.step("l") / made.step("y") + 1, apart=2)


def test_several_outputs_of_one_graph() -> None:
    made = artifacts("c = Conv(x, k) p = GlobalAveragePool(c) y = Flatten(p)", X, "y", "c", "p")
    assert_within(made, ROUNDING + 0.5 * made.step("c") / made.step("p"), apart=2)
    assert tuple(made.in_litert()) == made.graph.outputs


@pytest.mark.parametrize("name", ["dense", "depthwise", "depth multiplier", "dilated"])
def test_rounded_weights_are_off_by_half_their_steps(name: str) -> None:
    body, size = CONVOLUTIONS[name]
    made = artifacts(f"y = {body}", f"float[1,3,{size}]")
    (node,) = made.graph.nodes
    assert isinstance(node.operator, Conv)
    weights = made.quantized.weights[node.name]
    x = made.real("x", made.x)
    (floating,) = run(write_float(made.graph), x)
    # What half a step in each weight can move: half of the sum of the pixels' sizes under it.
    ones = Conv(
        np.ones_like(node.operator.weight),
        np.zeros_like(node.operator.bias),
        node.operator.strides,
        node.operator.pads,
        node.operator.dilations,
        node.operator.groups,
    )
    sizes_graph = made.graph.with_nodes([type(node)(node.name, ones, node.inputs, node.output)])
    (sizes,) = run(write_float(sizes_graph), np.abs(x))
    steps = f32(weights.params.scale)[:, None, None]
    bias_steps = weights.bias_scale[:, None, None]
    allowed = 0.5 * steps * sizes + 0.5 * bias_steps + ROUNDING * made.step("y")
    for outputs in (made.in_onnx(), made.in_litert()):
        error = np.abs(made.real("y", outputs["y"]) - floating)
        assert (error <= allowed * 1.001).all()
        # A weight step of twice the size would be seen.
        assert error.max() > 0.2 * made.step("y")


def test_a_clamp_that_neither_fuses_nor_saturates_is_refused_by_tflite() -> None:
    # The limit on an Add's factors makes the output's steps so large that its integers reach
    # beyond the clamp; ONNX then gets a Clip.
    made = artifacts("c = Conv(x, huge) a = Add(c, x) y = Clip(a, zero, p3)")
    assert not made.quantized.activations["y"].saturates_at(0.0, 3.0)
    assert "Clip" in {node.op_type for node in made.onnx.graph.node}
    limit = made.quantized.activations["y"].spec("y", (), "int8").quantize(f32(3))
    assert made.in_onnx()["y"].max() <= limit
    with pytest.raises(ConvertError, match=r"Add_a \(Add\): its clamp to \[0, 3\] has no TFLite"):
        _ = made.tflite
