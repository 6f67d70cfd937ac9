import numpy as np
import pytest
from onnx import TensorProto

from tests.converters.models import assert_same, build, int64
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 13, 18, 28])
def test_to_float32_it_is_nothing(opset: int) -> None:
    graph = assert_same(build("a = Exp(x) y = Cast<to=1>(a)", opset=opset), spread=1)
    assert [node.kind for node in graph.nodes] == ["Exp"]


@pytest.mark.parametrize("constant", [int64(3), np.asarray([3.0]), np.asarray([True])])
def test_of_a_constant(constant: np.ndarray) -> None:
    assert_same(build("k = Cast<to=1>(c) y = Add(x, k)", c=constant))


@pytest.mark.parametrize(
    "to", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL]
)
def test_to_another_type_is_refused(to: int) -> None:
    reason = f"to element type {to}; activations are float32"
    assert_refused(build(f"a = Cast<to={to}>(x) y = Cast<to=1>(a)"), reason)


def test_to_nothing_is_refused() -> None:
    assert_refused(build("y = Cast(x)"), "not as opset 17 defines it")
