import numpy as np
import pytest

from converters.operators import Gelu
from tests.converters.models import assert_same, build, f32, normal, run
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [20, 28])
@pytest.mark.parametrize(
    ("attributes", "tanh"),
    [("", False), ('<approximate="none">', False), ('<approximate="tanh">', True)],
)
def test_numbers(attributes: str, tanh: bool, opset: int) -> None:
    graph = assert_same(build(f"y = Gelu{attributes}(x)", opset=opset))
    assert [node.operator for node in graph.nodes] == [Gelu(tanh)]


def test_the_oracle_tells_the_forms_apart() -> None:
    x = normal(1, 3, 8, 8, spread=3)
    exact, tanh = (
        run(build(f'y = Gelu<approximate="{form}">(x)', opset=20), x)[0]
        for form in ("none", "tanh")
    )
    assert np.abs(exact - tanh).max() > 1e-4  # `assert_same` allows 3e-5


def test_refusals() -> None:
    assert_refused(build("y = Gelu(x)", opset=19), "not as opset 19 defines it")
    model = build('y = Gelu<approximate="sigmoid">(x)', opset=20)
    assert_refused(model, "approximate 'sigmoid' is not one of ONNX's")
    model = build("k = Gelu(c) y = Add(x, k)", opset=20, c=f32(1))
    assert_refused(model, "input 0 is a constant")
