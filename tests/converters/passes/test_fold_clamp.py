import pytest

from converters.operators import INFINITY, Add, Clamp, Clamped, Conv, Div, Gemm, Mul, Sub
from converters.passes.fold_clamp import fold_clamp
from tests.converters.models import Constants, build, f32, imported, normal
from tests.converters.passes.graphs import applied

WEIGHT = normal(3, 3, 1, 1)


def limits() -> Constants:
    return {"zero": f32(0), "six": f32(6), "one": f32(1), "minus": f32(-1)}


@pytest.mark.parametrize(
    ("producer", "kind"),
    [
        ("a = Conv(x, w)", Conv),
        ("q = Identity(x) a = Add(q, x)", Add),
        ("q = Flatten(x) a = Gemm(q, f)", Gemm),
        ("q = Exp(x) a = Sub(q, x)", Sub),
        ("q = Exp(x) a = Mul(q, x)", Mul),
        ("q = Exp(x) a = Div(x, q)", Div),
    ],
)
@pytest.mark.parametrize(
    ("clamp", "expected"),
    [
        ("Relu(a)", Clamp(0.0, INFINITY)),
        ("Clip(a, zero, six)", Clamp(0.0, 6.0)),
        ("Clip(a, minus, one)", Clamp(-1.0, 1.0)),
    ],
)
def test_into_what_carries_one(producer: str, kind: type, clamp: str, expected: Clamp) -> None:
    model = build(f"{producer} y = {clamp}", w=WEIGHT, f=normal(192, 4), **limits())
    result = applied(fold_clamp, imported(model))
    node = result.graph.nodes[-1]
    assert isinstance(node.operator, kind)
    assert isinstance(node.operator, Clamped)
    assert node.operator.clamp == expected
    assert node.output == "y"
    assert len(result.changed) == 1


def test_two_in_a_row_intersect() -> None:
    model = build("c = Conv(x, w) r = Relu(c) y = Clip(r, minus, one)", w=WEIGHT, **limits())
    result = applied(fold_clamp, imported(model))
    (node,) = result.graph.nodes
    assert isinstance(node.operator, Conv)
    assert node.operator.clamp == Clamp(0.0, 1.0)
    assert result.changed == ("Relu_r into Conv_c", "Clip_y into Conv_c")


def test_standing_alone_two_become_one() -> None:
    result = applied(fold_clamp, imported(build("r = Relu(x) y = Clip(r, minus, six)", **limits())))
    assert [node.operator for node in result.graph.nodes] == [Clamp(0.0, 6.0)]
    assert result.left == ("Relu_r: the input before it carries no clamp",)


@pytest.mark.parametrize(
    ("body", "outputs", "reason"),
    [
        ("y = Relu(x)", ["y"], "the input before it carries no clamp"),
        ("p = GlobalAveragePool(x) y = Relu(p)", ["y"], "GlobalAveragePool before it"),
        ("p = Max(x, one) y = Relu(p)", ["y"], "Maximum before it carries no clamp"),
        ("a = Add(x, row) y = Relu(a)", ["y"], "Affine before it carries no clamp"),
        ("c = Conv(x, w) y = Relu(c)", ["y", "c"], "read elsewhere too"),
        ("c = Conv(x, w) r = Relu(c) y = Add(r, c)", ["y"], "read elsewhere too"),
    ],
)
def test_left_alone(body: str, outputs: list[str], reason: str) -> None:
    graph = imported(build(body, outputs=outputs, w=WEIGHT, row=normal(8), **limits()))
    result = applied(fold_clamp, graph)
    assert result.graph == graph
    (left,) = result.left
    assert reason in left
