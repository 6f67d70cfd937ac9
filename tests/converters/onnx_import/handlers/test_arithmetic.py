import numpy as np
import pytest

from converters.operators import Add, Affine
from tests.converters.models import Constants, assert_same, build, f32, normal
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 13, 14, 28])
def test_shortcut(opset: int) -> None:
    graph = assert_same(build("a = Relu(x) y = Add(a, x)", opset=opset))
    assert isinstance(graph.nodes[-1].operator, Add)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1), (3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize("order", ["x, c", "c, x"])
def test_constant_a_channel(shape: tuple[int, ...], order: str) -> None:
    graph = assert_same(build(f"y = Add({order})", c=normal(*shape)))
    assert isinstance(graph.nodes[-1].operator, Affine)


def test_bias_of_a_matmul() -> None:
    assert_same(
        build(
            "p = GlobalAveragePool(x) f = Flatten(p) m = MatMul(f, w) y = Add(m, b)",
            w=normal(3, 5),
            b=normal(5),
        )
    )


NODES = ["Add(x, c)", "Add(c, x)", "Sub(x, c)", "Sub(c, x)", "Mul(x, c)", "Mul(c, x)", "Div(x, c)"]


@pytest.mark.parametrize("shape", [(), (3, 1, 1), (1, 3, 1, 1), (8,), (8, 1)])
@pytest.mark.parametrize("node", NODES)
def test_a_constant_along_one_axis_is_an_affine(node: str, shape: tuple[int, ...]) -> None:
    constant = np.sign(normal(*shape)) + normal(*shape, spread=0.1)
    graph = assert_same(build(f"y = {node}", c=f32(constant)))
    assert [type(made.operator) for made in graph.nodes] == [Affine]


@pytest.mark.parametrize("shape", [(3, 8, 1), (8, 8), (1, 3, 8, 8)])
@pytest.mark.parametrize("node", [*NODES, "Div(c, x)"])
def test_a_constant_along_several_axes_stays_one(node: str, shape: tuple[int, ...]) -> None:
    constant = np.sign(normal(*shape)) + normal(*shape, spread=0.1)
    graph = assert_same(build(f"y = {node}", c=f32(constant)), rtol=1e-4)
    assert graph.nodes[0].kind == "Constant"


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
def test_two_activations_broadcast(kind: str) -> None:
    body = f"p = GlobalAveragePool(x) a = Exp(p) y = {kind}(x, a)"
    graph = assert_same(build(body))
    assert graph.nodes[-1].kind == kind


@pytest.mark.parametrize("node", ["Neg(x)", "Reciprocal(a)"])
def test_one_activation(node: str) -> None:
    assert_same(build(f"a = Exp(x) y = {node}"))


def test_division_by_zero_is_refused() -> None:
    assert_refused(build("y = Div(x, c)", c=f32([1, 0, 1, 1, 1, 1, 1, 1])), "divides by zero")
    assert_refused(build("y = Div(x, c)", c=f32(1e-45)), "gives infinity")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = Add(x, e)", "do not fit together"),
        ("y = Add(x, z)", "empty or too large"),
        ("y = Add(x)", "not as opset 17 defines it"),
        ('y = Add(x, "")', "not as opset 17 defines it"),
        ("y = Add(x, n)", "NaN"),
        ("y = Add(x, k)", "int64"),
    ],
)
def test_refusals(body: str, reason: str) -> None:
    nan = np.asarray([np.nan], np.float32)
    constants: Constants = {"n": nan, "k": np.asarray([1]), "e": normal(5), "z": normal(0)}
    assert_refused(build(body, **constants), reason)
