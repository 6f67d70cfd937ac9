import pytest

from converters.operators import INFINITY, Clamp
from tests.converters.models import assert_same, build
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 13, 14, 28])
def test_numbers(opset: int) -> None:
    graph = assert_same(build("y = Relu(x)", opset=opset))
    assert graph.nodes[0].operator == Clamp(0.0, INFINITY)


def test_of_a_constant_is_refused() -> None:
    model = build("c = Constant<value_float=1.0>() r = Relu(c) y = Add(x, r)")
    assert_refused(model, "input 0 is a constant")
