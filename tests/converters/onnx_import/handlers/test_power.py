import numpy as np
import pytest

from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 12, 13, 18, 28]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("exponent", "kinds"),
    [
        (2, ["Mul"]),
        (3, ["Mul", "Mul"]),
        (0.5, ["Sqrt"]),
        (1, []),
        (4, ["Constant", "Pow"]),
        (0, ["Constant", "Pow"]),
        (-1, ["Constant", "Pow"]),
        (0.50001, ["Constant", "Pow"]),
    ],
)
def test_exponents(exponent: float, kinds: list[str], opset: int) -> None:
    graph = assert_same(build("a = Exp(x) y = Pow(a, e)", opset=opset, e=f32(exponent)), spread=1)
    assert [node.kind for node in graph.nodes] == ["Exp", *kinds]


@pytest.mark.parametrize("exponent", [2, 3])
def test_of_negative_numbers(exponent: int) -> None:
    assert_same(build("y = Pow(x, e)", e=f32([exponent])), rtol=1e-4)


@pytest.mark.parametrize("opset", [12, 13, 18, 28])
@pytest.mark.parametrize("exponent", [np.asarray(2), int64(3), np.asarray(2, np.int32)])
def test_whole_exponents(exponent: Array, opset: int) -> None:
    graph = assert_same(build("y = Pow(x, e)", opset=opset, e=exponent), rtol=1e-4)
    assert {node.kind for node in graph.nodes} == {"Mul"}


def test_one_exponent_of_more_axes_gives_them_to_the_value() -> None:
    graph = assert_same(build("y = Pow(x, e)", e=f32(2).reshape(1, 1, 1, 1, 1)), whole=True)
    assert graph.shapes["y"] == (1, 1, 3, 8, 8)


@pytest.mark.parametrize("exponents", [normal(3, 1, 1), normal(8), normal(1, 3, 8, 8)])
def test_exponents_along_axes(exponents: Array) -> None:
    graph = assert_same(build("a = Exp(x) y = Pow(a, e)", e=exponents), spread=1, rtol=1e-4)
    assert graph.nodes[-1].kind == "Pow"


@pytest.mark.parametrize("body", ["y = Pow(c, x)", "a = Exp(x) y = Pow(a, x)"])
def test_an_exponent_from_the_image(body: str) -> None:
    graph = assert_same(build(body, c=f32(2)), spread=1, rtol=1e-4)
    assert graph.nodes[-1].kind == "Pow"


@pytest.mark.parametrize(
    ("exponent", "reason"),
    [
        (normal(5), "do not fit together"),
        (f32(float("inf")), "NaN or infinity"),
        (np.asarray(2.0), "float64; only float32"),
        (np.asarray(True), "bool; only float32"),
    ],
)
def test_refusals(exponent: Array, reason: str) -> None:
    assert_refused(build("y = Pow(x, e)", e=exponent), reason)
