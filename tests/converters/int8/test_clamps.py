"""Clamps that an operator carries, and those that stand alone."""

import pytest

from tests.converters.artifacts import (
    REQUANTIZED,
    ROUNDING,
    Artifacts,
    assert_within,
    make,
    opcodes,
)
from tests.converters.models import Constants, f32, normal

CONSTANTS: Constants = {
    "w": normal(8, 3, 3, 3, spread=0.3),
    "b": normal(8, seed=5),
    "k": normal(8, 3, 1, 1, spread=0.3),
    "d": normal(3, 1, 3, 3, spread=0.3),
    "other": normal(1, 3, 4, 4, seed=2),
    "huge": normal(3, 3, 1, 1, spread=100),
    "g": normal(48, 8, spread=0.2),
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
    "Sub": "a = Sub(x, other) y = ",
    "Mul": "a = Mul(other, x) y = ",
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
    is_scaled = "QUANTIZE" in opcodes(made.tflite)
    assert_within(made, ROUNDING + chain, litert=REQUANTIZED if is_scaled else 0)


def test_clamp_with_a_second_reader() -> None:
    made = artifacts("c = Conv(x, k) r = Relu(c) y = MaxPool<kernel_shape=[2,2]>(r)", X, "y", "c")
    # c is rounded, and its half step comes out of the clamp as it went in.
    assert_within(made, ROUNDING + 0.5 * made.step("c") / made.step("r"), apart=2)


def test_a_clamp_that_neither_fuses_nor_saturates_is_two_comparisons() -> None:
    # The limit on an Add's factors makes the output's steps so large that its integers reach
    # beyond the clamp; ONNX then gets a Clip.
    made = artifacts("c = Conv(x, huge) a = Add(c, x) y = Clip(a, zero, p3)")
    assert not made.quantized.activations["y"].saturates_at(0.0, 3.0)
    assert "Clip" in {node.op_type for node in made.onnx.graph.node}
    assert opcodes(made.tflite)[-2:] == ["MAXIMUM", "MINIMUM"]
    limit = made.quantized.activations["y"].spec("y", (), "int8").quantize(f32(3))
    for outputs in (made.in_onnx(), made.in_litert()):
        assert outputs["y"].max() == limit
