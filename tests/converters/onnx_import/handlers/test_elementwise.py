import numpy as np
import pytest

from converters.operators import LeakyRelu
from tests.converters.models import assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]
# Where a function is defined for positive numbers only, `a` holds them.
NODES = ["Abs(x)", "Erf(x)", "Exp(x)", "Log(a)", "Sigmoid(x)", "Sqrt(a)", "Tanh(x)"]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("node", [*NODES, "Elu(x)", "Elu<alpha=1.0>(x)", "LeakyRelu(x)"])
def test_numbers(node: str, opset: int) -> None:
    graph = assert_same(build(f"a = Exp(x) y = {node}", opset=opset))
    assert node.startswith(graph.nodes[-1].kind)


@pytest.mark.parametrize("opset", [14, 18, 22, 28])
def test_hard_swish(opset: int) -> None:
    # Both knees, at -3 and 3, lie within what the input holds.
    graph = assert_same(build("y = HardSwish(x)", opset=opset))
    assert [node.kind for node in graph.nodes] == ["HardSwish"]


def test_hard_swish_came_with_opset_14() -> None:
    assert_refused(build("y = HardSwish(x)", opset=13), "not as opset 13 defines it")


@pytest.mark.parametrize("shape", [(192,), (3, 64), (1, 3, 64), (1, 3, 2, 4, 8)])
@pytest.mark.parametrize("node", ["Tanh(r)", "Elu(r)", "LeakyRelu(r)", "HardSwish(r)"])
def test_every_rank(node: str, shape: tuple[int, ...]) -> None:
    assert_same(build(f"r = Reshape(x, s) y = {node}", s=int64(*shape)), whole=True)


@pytest.mark.parametrize("slope", ["0.0", "-0.5", "1.0", "2.5", "1e-30"])
@pytest.mark.parametrize("opset", [11, 16, 28])
def test_slopes(slope: str, opset: int) -> None:
    graph = assert_same(build(f"y = LeakyRelu<alpha={slope}>(x)", opset=opset))
    assert graph.nodes[0].operator == LeakyRelu(float(np.float32(slope)))


@pytest.mark.parametrize("alpha", ["0.5", "1.000001", "0.0", "-1.0"])
def test_elu_of_another_alpha_is_refused(alpha: str) -> None:
    assert_refused(build(f"y = Elu<alpha={alpha}>(x)"), "has no TFLite form; only 1 has")


@pytest.mark.parametrize("kind", ["Abs", "Erf", "Exp", "Log", "Sigmoid", "Sqrt", "Tanh"])
def test_of_a_constant_it_is_a_constant(kind: str) -> None:
    graph = assert_same(build(f"k = {kind}(c) y = Add(x, k)", c=f32(0.5)))
    assert [made.kind for made in graph.nodes] == ["Affine"]


@pytest.mark.parametrize("node", ["Elu(c)", "LeakyRelu(c)", "HardSwish(c)"])
def test_of_a_constant_that_is_not_computed_is_refused(node: str) -> None:
    assert_refused(build(f"k = {node} y = Add(x, k)", c=f32(0.5)), "input 0 is a constant")
