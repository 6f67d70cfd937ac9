import numpy as np
import pytest

from tests.converters.models import Constants, assert_same, build, normal
from tests.converters.onnx_import.refusals import assert_refused

X = "float[1,3,2,2]"


@pytest.mark.parametrize("opset", [11, 13, 28])
def test_numbers(opset: int) -> None:
    assert_same(build("f = Flatten(x) y = MatMul(f, w)", X, opset=opset, w=normal(12, 5)))


@pytest.mark.parametrize(
    ("node", "kinds"),
    [
        ("MatMul(x, s)", ["Gemm"]),
        ("MatMul(s, x)", ["Constant", "MatMul"]),
        ("MatMul(x, x)", ["MatMul"]),
        ("MatMul(x, b)", ["Constant", "MatMul"]),
    ],
)
def test_matrices_in_batches(node: str, kinds: list[str]) -> None:
    graph = assert_same(build(f"y = {node}", X, s=normal(2, 2), b=normal(1, 3, 2, 4)))
    assert [made.kind for made in graph.nodes] == kinds


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("MatMul(f, s)", "does not fit an input of shape (1, 12)"),
        ("MatMul(f, t)", "cannot be multiplied"),
        ("MatMul(x, v)", "does not fit an input of shape (1, 3, 2, 2)"),
        ("MatMul(s, f)", "cannot be multiplied"),
        ("MatMul(f, f)", "cannot be multiplied"),
        ("MatMul(f, n)", "NaN"),
    ],
)
def test_refusals(node: str, reason: str) -> None:
    nan = normal(12, 2) * np.float32("nan")
    constants: Constants = {
        "s": normal(2, 2),
        "t": normal(1, 11, 2),
        "v": normal(3, 2),
        "n": nan,
    }
    assert_refused(build(f"f = Flatten(x) y = {node}", X, **constants), reason)
