import pytest

from tests.converters.models import Constants, assert_same, build, normal
from tests.converters.onnx_import.refusals import assert_refused

X = "float[1,3,2,2]"


@pytest.mark.parametrize("opset", [11, 13, 28])
def test_numbers(opset: int) -> None:
    assert_same(build("f = Flatten(x) y = MatMul(f, w)", X, opset=opset, w=normal(12, 5)))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("MatMul(f, s)", "does not fit an input of shape (1, 12)"),
        ("MatMul(f, t)", "supported is [1, I] times a constant [I, O]"),
        ("MatMul(x, s)", "supported is [1, I] times a constant [I, O]"),
        ("MatMul(s, f)", "input 0 is a constant"),
        ("MatMul(f, f)", "computed from the image"),
    ],
)
def test_refusals(node: str, reason: str) -> None:
    constants: Constants = {"s": normal(2, 2), "t": normal(1, 12, 2)}
    assert_refused(build(f"f = Flatten(x) y = {node}", X, **constants), reason)
