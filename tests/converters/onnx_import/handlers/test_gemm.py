import numpy as np
import pytest

from edge.tensors import Array
from tests.converters.models import Constants, assert_same, build, normal
from tests.converters.onnx_import.refusals import assert_refused

FLAT = "f = Flatten(x) "
X = "float[1,3,2,2]"


@pytest.mark.parametrize("opset", [11, 13, 28])
@pytest.mark.parametrize("attributes", ["", "<transB=0>", "<alpha=0.5, beta=-2.0>"])
@pytest.mark.parametrize("bias", [normal(5), normal(1), normal(1, 5), normal(1, 1)])
def test_numbers(opset: int, attributes: str, bias: Array) -> None:
    body = f"{FLAT} y = Gemm{attributes}(f, w, b)"
    assert_same(build(body, X, opset=opset, w=normal(12, 5), b=bias))


def test_transposed_weight() -> None:
    assert_same(build(f"{FLAT} y = Gemm<transB=1>(f, w, b)", X, w=normal(5, 12), b=normal(5)))


@pytest.mark.parametrize("inputs", ["f, w", 'f, w, ""'])
def test_without_bias(inputs: str) -> None:
    assert_same(build(f"{FLAT} y = Gemm({inputs})", X, w=normal(12, 5)))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("Gemm(f, w)", "does not fit an input of shape (1, 12)"),
        ("Gemm(f, g, c)", "its bias has shape (4,) for 5 outputs"),
        ("Gemm<transA=1>(f, g)", "transA"),
        ("Gemm(f, v)", "1 dimensions, not 2"),
        ("Gemm<alpha=1>(f, g)", "not as opset"),
        ("Gemm<alpha=1e38>(f, h)", "NaN or infinity"),
        ("Gemm(g, f)", "input 0 is a constant"),
        ("Gemm(f, g, f)", "computed from the image"),
        ("Gemm(x, g)", "does not fit an input"),
        ("Gemm(f, e)", "is empty"),
    ],
)
def test_refusals(node: str, reason: str) -> None:
    constants: Constants = {
        "w": normal(11, 5),
        "g": normal(12, 5),
        "h": normal(12, 5, spread=1e6),
        "c": normal(4),
        "v": normal(12),
        "e": np.zeros((12, 0), np.float32),
    }
    assert_refused(build(f"{FLAT} y = {node}", X, **constants), reason)
