"""Operators of two values in both artifacts, against exact arithmetic on their own integers."""

import numpy as np
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
    "tiny": normal(3, 3, 1, 1, spread=0.002),
    "huge": normal(3, 3, 1, 1, spread=100),
    "full": normal(1, 3, 8, 8, seed=2),
    "row": normal(1, 3, 1, 8, seed=3),
    "above": np.abs(normal(1, 3, 8, 8, seed=2)),
    "slopes": f32([0.1, -0.3, 1.5]).reshape(3, 1, 1),
    "slopes8": normal(8, spread=0.3),
    "zero": f32(0),
    "m1": f32(-1),
    "p1": f32(1),
    "p2": f32(2),
    "powers": f32([0.5, 1.5, 2.5]).reshape(3, 1, 1),
}
X = "float[1,3,8,8]"
POSITIVE = (0.2, 6.0)


def artifacts(body: str, reals: tuple[float, float] | None = None) -> Artifacts:
    return make(body, X, reals=reals, **CONSTANTS)


# The other operand: what makes it moves integers and rounds nothing.
OPERANDS = {
    "a constant": "y = {}(x, full)",
    "a constant first": "y = {}(full, x)",
    "a constant that broadcasts": "y = {}(x, row)",
    "its transpose": "b = Transpose<perm=[0,1,3,2]>(x) y = {}(x, b)",
    "one value a channel": "b = ReduceMax<axes=[2,3]>(x) y = {}(x, b)",
    "one value a channel first": "b = ReduceMax<axes=[2,3]>(x) y = {}(b, x)",
    "one value a pixel": "b = ReduceMax<axes=[1]>(x) y = {}(x, b)",
    "fewer axes": "b = ReduceMax<axes=[0,1], keepdims=0>(x) y = {}(x, b)",
    "both broadcast": "a = ReduceMax<axes=[1]>(x) b = ReduceMax<axes=[2,3]>(x) y = {}(a, b)",
}
# By these a division is a product.
DIVISORS = ("a constant", "a constant that broadcasts")


@pytest.mark.parametrize("operand", OPERANDS)
@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul"])
def test_sums_and_products(kind: str, operand: str) -> None:
    assert_within(artifacts(OPERANDS[operand].format(kind)))


@pytest.mark.parametrize("operand", [name for name in OPERANDS if name not in DIVISORS])
@pytest.mark.parametrize("kind", ["Div", "Pow"])
def test_in_float_between_integers(kind: str, operand: str) -> None:
    made = artifacts(OPERANDS[operand].format(kind).replace("full", "above"), POSITIVE)
    assert_within(made)
    codes = opcodes(made.tflite)
    assert codes.count("DEQUANTIZE") == 2
    at = codes.index(kind.upper())
    assert codes[at + 1] == "QUANTIZE"


@pytest.mark.parametrize("operand", OPERANDS)
@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_extremes_compare_integers_of_one_scale(kind: str, operand: str) -> None:
    made = artifacts(OPERANDS[operand].format(kind))
    assert_within(made, litert=REQUANTIZED)
    (last,) = (node for node in made.graph.nodes if node.output == "y")
    assert {made.quantized.activations[name] for name in (*last.inputs, "y")} == {
        made.quantized.activations["y"]
    }


def test_a_value_and_itself() -> None:
    assert_within(artifacts("y = Add(x, x)"))
    assert_within(artifacts("y = Mul(x, x)"))
    assert_within(artifacts("y = Sub(x, x)"), allowed=0, apart=0)
    assert_within(artifacts("r = Relu(x) y = Div(r, x)", POSITIVE))


@pytest.mark.parametrize("kind", ["Add", "Sub"])
@pytest.mark.parametrize("other", ["tiny", "huge"])
@pytest.mark.parametrize("last", ["Identity(a)", "Relu(a)"])
def test_very_different_scales(kind: str, other: str, last: str) -> None:
    made = artifacts(f"c = Conv(x, {other}) a = {kind}(c, x) y = {last}")
    (output,) = made.graph.outputs
    assert_within(made, ROUNDING + 0.5 * made.step("c") / made.step(output), apart=2)


def test_a_shortcut() -> None:
    made = artifacts("r = Relu(x) y = Add(r, x)")
    assert_within(made, ROUNDING + 0.5 * made.step("r") / made.step("y"))


@pytest.mark.parametrize("clamp", ["Relu(a)", "Clip(a, m1, p1)", "Clip(a, zero, p2)"])
def test_a_quotient_carries_its_clamp(clamp: str) -> None:
    made = artifacts(f"a = Div(full, x) y = {clamp}", POSITIVE)
    assert_within(made)
    assert opcodes(made.tflite) == ["DEQUANTIZE", "DEQUANTIZE", "DIV", "QUANTIZE"]
    assert not {"Clip", "Relu"} & {node.op_type for node in made.onnx.graph.node}


@pytest.mark.parametrize(
    "body",
    [
        "y = Reciprocal(x)",
        "y = Div(p2, x)",
        "y = Pow(x, powers)",
        "y = Pow(powers, x)",
        "y = Pow(x, above)",
    ],
)
def test_quotients_and_powers_of_constants(body: str) -> None:
    assert_within(artifacts(body, POSITIVE))


def test_a_division_by_a_constant_is_a_product() -> None:
    made = artifacts("y = Div(x, full)")
    assert_within(made)
    assert opcodes(made.tflite) == ["MUL"]


def test_a_division_by_a_root_is_a_product_with_its_inverse() -> None:
    made = artifacts("m = ReduceMax<axes=[1]>(x) r = Sqrt(m) y = Div(x, r)", POSITIVE)
    assert opcodes(made.tflite) == ["REDUCE_MAX", "RSQRT", "MUL"]
    largest = np.abs(made.real("x", made.x)).max()
    chain = 0.5 * made.step("y/inverse root") * largest / made.step("y")
    assert_within(made, ROUNDING + chain, apart=2)


@pytest.mark.parametrize("slope", ["slopes", "slopes8", "full"])
def test_prelu(slope: str) -> None:
    made = artifacts(f"y = PRelu(x, {slope})")
    assert_within(made)
    assert opcodes(made.tflite) == ["PRELU"]


@pytest.mark.parametrize("slope", [0.2, 0.0, 3.0, -0.5])
def test_leaky_relu(slope: float) -> None:
    made = artifacts(f"y = LeakyRelu<alpha={slope}>(x)")
    # XNNPACK's factors on both sides of zero have 8 fraction bits.
    assert_within(made, litert=REQUANTIZED)
    assert opcodes(made.tflite) == ["LEAKY_RELU"]
