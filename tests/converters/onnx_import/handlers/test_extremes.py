import pytest

from converters.operators import INFINITY, Clamp
from edge.tensors import Array
from tests.converters.models import Constants, assert_same, build, f32, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 12, 13, 18, 28]
KINDS = {"Max": "Maximum", "Min": "Minimum"}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_activations(kind: str, opset: int) -> None:
    graph = assert_same(build(f"a = Neg(x) p = GlobalAveragePool(x) y = {kind}(a, p)", opset=opset))
    assert graph.nodes[-1].kind == KINDS[kind]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("order", ["x, c", "c, x"])
@pytest.mark.parametrize(
    ("kind", "limit", "clamp"),
    [
        ("Max", 0, Clamp(0.0, INFINITY)),
        ("Max", -1, Clamp(-1.0, INFINITY)),
        ("Min", 0, Clamp(-INFINITY, 0.0)),
        ("Min", 6, Clamp(-INFINITY, 6.0)),
    ],
)
def test_a_limit_on_the_right_side_of_zero(
    kind: str, limit: float, clamp: Clamp, order: str, opset: int
) -> None:
    graph = assert_same(build(f"y = {kind}({order})", opset=opset, c=f32(limit)))
    assert [node.operator for node in graph.nodes] == [clamp]


@pytest.mark.parametrize("order", ["x, c", "c, x"])
@pytest.mark.parametrize(("kind", "limit"), [("Max", 1e-30), ("Max", 1), ("Min", -1e-30)])
def test_a_limit_on_the_other_side_is_compared(kind: str, limit: float, order: str) -> None:
    graph = assert_same(build(f"y = {kind}({order})", c=f32(limit)))
    assert [node.kind for node in graph.nodes] == ["Constant", KINDS[kind]]


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1, 1)])
def test_a_limit_of_one_entry(shape: tuple[int, ...]) -> None:
    graph = assert_same(build("y = Max(x, c)", c=f32(0).reshape(shape)))
    assert graph.nodes[0].operator == Clamp(0.0, INFINITY)


def test_a_limit_of_more_axes_gives_them_to_the_value() -> None:
    graph = assert_same(build("y = Max(x, c)", c=f32(0).reshape(1, 1, 1, 1, 1)), whole=True)
    assert graph.shapes["y"] == (1, 1, 3, 8, 8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("constant", [normal(3, 1, 1), normal(8), normal(1, 3, 8, 8)])
def test_constants_along_axes(kind: str, constant: Array) -> None:
    assert_same(build(f"y = {kind}(c, x)", c=constant))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", ["a, x, b", "zero, a, b", "zero, one, x", "x, a, one, b, zero"])
def test_any_number_of_inputs(kind: str, inputs: str) -> None:
    body = f"a = Neg(x) b = GlobalAveragePool(x) y = {kind}({inputs})"
    graph = assert_same(build(body, zero=f32(0), one=f32(1)))
    made = [node.kind for node in graph.nodes].count(KINDS[kind])
    assert made == inputs.count(",")
    graph.verify()


@pytest.mark.parametrize("kind", KINDS)
def test_of_one_input_is_that(kind: str) -> None:
    graph = assert_same(build(f"a = Exp(x) y = {kind}(a)"))
    assert [node.kind for node in graph.nodes] == ["Exp"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = Max()", "not as opset 17 defines it"),
        ("y = Max(x, e)", "do not fit together"),
        ("y = Min(x, n)", "NaN or infinity"),
        ("y = Min(x, k)", "int64; only float32"),
    ],
)
def test_refusals(body: str, reason: str) -> None:
    constants: Constants = {"e": normal(5), "n": f32(float("nan")), "k": int64(0)}
    assert_refused(build(body, **constants), reason)
