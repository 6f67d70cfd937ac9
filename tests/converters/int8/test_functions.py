"""Functions of each value, and shares along an axis, on every integer that an int8 has."""

import numpy as np
import pytest

from converters.graph import Graph, Node
from converters.operators import Erf, Gelu, Rsqrt, Unary
from tests.converters.artifacts import ROUNDING, Artifacts, assert_within, make, opcodes, quantize

# 768 values spread evenly over 255 steps: all integers are among them.
SHAPE = (1, 3, 16, 16)
X = "float[1,3,16,16]"
AROUND_ZERO = (-6.0, 5.0)
POSITIVE = (0.1, 6.0)


def function(operator: Unary, reals: tuple[float, float] = AROUND_ZERO) -> Artifacts:
    """Return the artifacts of one operator that stands for several of ONNX's."""
    node = Node("f", operator, ("x",), "y")
    made = quantize(Graph("tiny", {"x": SHAPE}, ("y",), (node,)), reals=reals)
    assert len(np.unique(made.x)) > 250
    return made


@pytest.mark.parametrize("kind", ["Exp", "Elu", "Sigmoid", "Tanh"])
@pytest.mark.parametrize("reals", [AROUND_ZERO, POSITIVE, (-0.1, 0.1), (-40.0, 20.0)])
def test_tables_round_once(kind: str, reals: tuple[float, float]) -> None:
    # TFLite looks up one of 256 results that were computed in float, or has the like in 16 bits.
    made = make(f"y = {kind}(x)", X, reals=reals)
    assert_within(made)
    assert len(opcodes(made.tflite)) == 1


@pytest.mark.parametrize("reals", [POSITIVE, (0.01, 0.9), (1.0, 300.0)])
def test_an_inverse_root_is_a_table_too(reals: tuple[float, float]) -> None:
    made = function(Rsqrt(), reals)
    assert_within(made)
    assert opcodes(made.tflite) == ["RSQRT"]


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("reals", [AROUND_ZERO, (-0.1, 0.1), (-40.0, 20.0)])
def test_gelu(tanh: bool, reals: tuple[float, float]) -> None:
    made = function(Gelu(tanh), reals)
    assert_within(made)
    assert opcodes(made.tflite) == ["GELU"]


@pytest.mark.parametrize("reals", [AROUND_ZERO, POSITIVE, (-0.1, 0.1), (-40.0, 20.0)])
def test_hard_swish(reals: tuple[float, float]) -> None:
    # TFLite's kernel computes in 16 bits, 7 of them below the input's steps: what it rounds on the
    # way (the input to two scales, the product) comes to less than 2^-6 of a step.
    assert_within(make("y = HardSwish(x)", X, reals=reals), litert=2**-6)


@pytest.mark.parametrize("reals", [AROUND_ZERO, POSITIVE])
def test_abs(reals: tuple[float, float]) -> None:
    assert_within(make("y = Abs(x)", X, reals=reals))


@pytest.mark.parametrize("kind", ["Sqrt", "Log"])
@pytest.mark.parametrize("reals", [POSITIVE, (0.01, 0.9), (1.0, 300.0)])
def test_in_float_between_integers(kind: str, reals: tuple[float, float]) -> None:
    made = make(f"y = {kind}(x)", X, reals=reals)
    assert_within(made)
    assert opcodes(made.tflite) == ["DEQUANTIZE", kind.upper(), "QUANTIZE"]


def test_erf_is_in_the_onnx_file_alone() -> None:
    made = function(Erf())
    error = np.abs(made.real("y", made.in_onnx()["y"]) - made.exact()["y"]) / made.step("y")
    assert error.max() <= ROUNDING


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("before", "axis", "transposes"),
    [
        ("a = Identity(x)", 1, 0),
        ("a = Identity(x)", 2, 2),
        ("a = Identity(x)", -1, 2),
        ("a = Transpose<perm=[0,2,3,1]>(x)", -1, 1),
        ("a = Reshape(x, tokens)", 1, 1),
        ("a = Reshape(x, tokens)", 2, 1),
        ("a = Flatten(x)", 1, 1),
    ],
)
def test_shares_along_any_axis(kind: str, before: str, axis: int, transposes: int) -> None:
    made = make(
        f"{before} y = {kind}<axis={axis}>(a)", X, reals=AROUND_ZERO, tokens=np.array([1, 3, 256])
    )
    assert_within(made)
    assert opcodes(made.tflite).count("TRANSPOSE") == transposes
