import pytest

from converters.operators import Clamp
from tests.converters.models import assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused

KINDS = ["Affine", "Clamp"]


@pytest.mark.parametrize("opset", [11, 13, 18, 22, 28])
def test_numbers(opset: int) -> None:
    graph = assert_same(build("y = HardSigmoid(x)", opset=opset))
    assert [node.kind for node in graph.nodes] == KINDS
    assert graph.nodes[-1].operator == Clamp(0.0, 1.0)


@pytest.mark.parametrize("alpha", ["0.16666667", "0.0", "-0.3", "10.0"])
@pytest.mark.parametrize("beta", ["0.5", "0.0", "1.0", "-2.0"])
def test_attributes(alpha: str, beta: str) -> None:
    graph = assert_same(build(f"y = HardSigmoid<alpha={alpha}, beta={beta}>(x)"))
    assert [node.kind for node in graph.nodes] == KINDS


@pytest.mark.parametrize("shape", [(192,), (3, 64), (1, 3, 64), (1, 3, 2, 4, 8)])
def test_every_rank(shape: tuple[int, ...]) -> None:
    assert_same(build("r = Reshape(x, s) y = HardSigmoid(r)", s=int64(*shape)), whole=True)


def test_of_a_single_number_is_refused() -> None:
    model = build("m = ReduceMean<keepdims=0>(x) y = HardSigmoid(m)", opset=13)
    assert_refused(model, "its input has shape ()")


def test_of_a_constant_is_refused() -> None:
    assert_refused(build("k = HardSigmoid(c) y = Add(x, k)", c=f32(1)), "input 0 is a constant")
