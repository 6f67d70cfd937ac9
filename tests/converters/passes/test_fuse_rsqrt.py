import pytest

from converters.operators import INFINITY, Clamp, Mul
from converters.passes.fold_clamp import fold_clamp
from converters.passes.fuse_rsqrt import fuse_rsqrt
from tests.converters.models import build, f32, imported
from tests.converters.passes.graphs import applied

ROOT = "e = Exp(x) r = Sqrt(e) "


def test_a_quotient_by_a_root_is_a_product() -> None:
    result = applied(fuse_rsqrt, imported(build(ROOT + "y = Div(x, r)")))
    assert [node.kind for node in result.graph.nodes] == ["Exp", "Rsqrt", "Mul"]
    assert [node.name for node in result.graph.nodes][1:] == ["Div_y/inverse root", "Div_y"]
    assert result.changed == ("Div_y by Sqrt_r",)


@pytest.mark.parametrize("node", ["Div(c, r)", "Reciprocal(r)"])
def test_a_constant_by_a_root(node: str) -> None:
    result = applied(fuse_rsqrt, imported(build(f"{ROOT} y = {node}", c=f32(3))))
    kinds = [kind.kind for kind in result.graph.nodes]
    assert kinds == ["Exp", "Constant", "Rsqrt", "Mul"]


def test_a_layer_normalization_in_its_parts() -> None:
    body = (
        "m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes=[-1]>(q) "
        "a = Add(v, eps) r = Sqrt(a) y = Div(d, r)"
    )
    result = applied(fuse_rsqrt, imported(build(body, eps=f32(1e-5))))
    assert [node.kind for node in result.graph.nodes][-2:] == ["Rsqrt", "Mul"]
    assert "Sqrt" not in [node.kind for node in result.graph.nodes]


def test_a_power_of_one_half_is_a_root_too() -> None:
    model = build("e = Exp(x) r = Pow(e, half) y = Div(x, r)", half=f32(0.5))
    assert applied(fuse_rsqrt, imported(model)).changed == ("Div_y by Pow_r",)


def test_a_clamp_is_carried_over() -> None:
    graph = fold_clamp(imported(build(ROOT + "d = Div(x, r) y = Relu(d)"))).graph
    result = applied(fuse_rsqrt, graph)
    assert result.graph.nodes[-1].operator == Mul(Clamp(0.0, INFINITY))


@pytest.mark.parametrize(
    ("body", "outputs"),
    [("y = Div(x, r) z = Neg(r)", ["y", "z"]), ("y = Div(x, r)", ["y", "r"])],
)
def test_a_root_that_others_read_stays(body: str, outputs: list[str]) -> None:
    result = applied(fuse_rsqrt, imported(build(ROOT + body, outputs=outputs)))
    kinds = [node.kind for node in result.graph.nodes]
    assert {"Sqrt", "Rsqrt", "Mul"} <= set(kinds)
    assert "Div" not in kinds


def test_two_quotients_by_one_root() -> None:
    body = "y = Div(x, r) z = Div(e, r)"
    result = applied(fuse_rsqrt, imported(build(ROOT + body, outputs=["y", "z"])))
    assert len(result.changed) == 2
    assert [n.kind for n in result.graph.nodes] == ["Exp", "Rsqrt", "Mul", "Rsqrt", "Mul"]


@pytest.mark.parametrize(
    "body", ["y = Div(x, e)", "y = Div(r, e)", "y = Mul(x, r)", "y = Add(x, r)", "y = Div(e, x)"]
)
def test_other_quotients_are_left_alone(body: str) -> None:
    graph = imported(build(ROOT + body))
    result = applied(fuse_rsqrt, graph)
    assert result.graph == graph
    assert result.changed == ()
