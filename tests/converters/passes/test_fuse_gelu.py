import math

import numpy as np
import pytest

from converters.graph import Graph
from converters.operators import Affine, Erf, Gelu, Mul, Tanh
from converters.passes import run_passes
from converters.passes.fold_clamp import fold_clamp
from converters.passes.fuse_gelu import fuse_gelu
from tests.converters.models import Constants, build, imported, normal, run
from tests.converters.passes.graphs import applied, behind_conv, constants

ROOT = "s = Div(v, root2) e = Erf(s) "
BENT = "q = Mul(v, v) c = Mul(q, v) k = Mul(c, small) b = Add(v, k) s = Mul(b, slope) e = Tanh(s) "


CONSTANTS = constants(
    {
        "most": 3e38,
        "root2": math.sqrt(2),
        "small": 0.044715,
        "slope": math.sqrt(2 / math.pi),
        "one": 1,
        "half": 0.5,
        "two": 2,
        "three": 3,
        "minus": -0.5,
    }
)


def graph(body: str, *outputs: str) -> Graph:
    return behind_conv(body, outputs, CONSTANTS)


# How a whole GELU is written where `e` is its erf or tanh.
FORMS = {
    "behind": "a = Add(e, one) p = Mul(v, a) y = Mul(p, half)",
    "behind, divided": "a = Add(one, e) p = Mul(a, v) y = Div(p, two)",
    "at x": "h = Mul(half, v) a = Add(e, one) y = Mul(h, a)",
    "at the sum": "a = Add(e, one) h = Mul(a, half) y = Mul(v, h)",
    "at both summands": "h = Mul(e, half) a = Add(h, half) y = Mul(a, v)",
    "at x and behind": "h = Mul(v, two) m = Div(h, two) a = Add(e, one) p = Mul(m, a) "
    "y = Mul(p, half)",
    "at the sum and behind": "h = Add(e, one) a = Mul(h, three) p = Mul(v, a) m = Mul(p, half) "
    "y = Div(m, three)",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("tanh", [False, True], ids=["erf", "tanh"])
def test_with_the_half_in_every_place(form: str, tanh: bool) -> None:
    result = applied(fuse_gelu, graph((BENT if tanh else ROOT) + form))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "Gelu"]
    assert result.graph.nodes[-1].operator == Gelu(tanh)
    assert result.graph.nodes[-1].output == "y"
    (changed,) = result.changed
    assert changed.endswith(" as Gelu")
    assert result.left == ()


def test_numbers_are_those_of_the_operator() -> None:
    # The oracle is ONNX Runtime's own Gelu, which opset 20 brought.
    x = normal(1, 3, 8, 8, spread=2)
    for parts, form in ((ROOT, "none"), (BENT, "tanh")):
        body = f"v = Identity(x) {parts} {FORMS['behind']}"
        (theirs,) = run(build(f'y = Gelu<approximate="{form}">(x)', opset=20), x)
        (written,) = run(build(body, **CONSTANTS), x)
        np.testing.assert_allclose(written, theirs, rtol=1e-5, atol=1e-5)
        result = fuse_gelu(imported(build(body, **CONSTANTS)))
        assert [node.operator for node in result.graph.nodes] == [Gelu(form == "tanh")]


@pytest.mark.parametrize(
    "cube", ["c = Mul(v, q) k = Mul(small, c)", "h = Pow(v, three) k = Mul(h, small)"]
)
def test_the_cube_in_every_order(cube: str) -> None:
    body = f"q = Mul(v, v) {cube} b = Add(k, v) s = Mul(slope, b) e = Tanh(s) {FORMS['behind']}"
    result = applied(fuse_gelu, graph(body))
    assert [node.kind for node in result.graph.nodes][-1] == "Gelu"
    assert len(result.changed) == 1


@pytest.mark.parametrize(
    ("after", "gain"),
    [
        ("a = Add(e, one) p = Mul(v, a) h = Mul(p, half) y = Mul(h, three)", 3),
        ("h = Mul(v, half) a = Add(e, one) p = Mul(h, a) y = Mul(p, three)", 3),
        ("a = Add(e, one) p = Mul(v, a) y = Mul(p, minus)", -1),
    ],
)
def test_a_factor_that_is_left_stays(after: str, gain: float) -> None:
    result = applied(fuse_gelu, graph(ROOT + after))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "Gelu", "Affine"]
    affine = result.graph.nodes[-1].operator
    assert isinstance(affine, Affine)
    np.testing.assert_allclose(affine.weight, gain)


@pytest.mark.parametrize("form", ["behind", "at x", "at the sum"])
def test_a_batch_normalization_behind_takes_the_half(form: str) -> None:
    # As in ConvMixer: the half and the gains behind it are one Affine by then.
    body = FORMS[form].replace("y =", "n =") + " y = BatchNormalization(n, g, o, o, var)"
    result = applied(fuse_gelu, graph(ROOT + body))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "Gelu", "Affine"]


def test_a_part_that_others_read_stays() -> None:
    result = applied(fuse_gelu, graph(ROOT + FORMS["behind"] + " z = Neg(s)", "y", "z"))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "Affine", "Gelu", "Affine"]


@pytest.mark.parametrize("shown", ["s", "v"])
def test_a_part_that_is_an_output_stays(shown: str) -> None:
    result = applied(fuse_gelu, graph(ROOT + FORMS["behind"], "y", shown))
    assert shown in [node.output for node in result.graph.nodes]
    assert len(result.changed) == 1


NEITHER = {
    "an Erf alone": "y = Erf(v)",
    "an Erf of x itself": "e = Erf(v) " + FORMS["behind"],
    "another root": "s = Div(v, two) e = Erf(s) " + FORMS["behind"],
    "another x": "u = Exp(v) " + ROOT + "a = Add(e, one) p = Mul(u, a) y = Mul(p, half)",
    "another x, scaled": "u = Exp(v) h = Mul(u, half) " + ROOT + "a = Add(e, one) y = Mul(h, a)",
    "another sum": ROOT + "a = Add(e, half) p = Mul(v, a) y = Mul(p, half)",
    "a difference": ROOT + "a = Sub(one, e) p = Mul(v, a) y = Mul(p, half)",
    "no sum": ROOT + "p = Mul(v, e) y = Mul(p, half)",
    "no product": ROOT + "a = Add(e, one) p = Add(v, a) y = Mul(p, half)",
    "its square": ROOT + "a = Add(e, one) y = Mul(a, a)",
    "no half": ROOT + "a = Add(e, one) y = Mul(v, a)",
    "no half before another reader": ROOT + "a = Add(e, one) p = Mul(v, a) y = Exp(p)",
    "a half for one of two readers": ROOT
    + "a = Add(e, one) p = Mul(v, a) h = Mul(p, half) y = Add(h, p)",
    "the share read twice": ROOT + "a = Add(e, one) p = Mul(v, a) h = Mul(p, half) y = Add(h, e)",
    "a sum for each channel": ROOT + "d = Reshape(g, shape) a = Add(e, d) y = Mul(v, a)",
    "the sum read twice": ROOT + "a = Add(e, one) p = Mul(v, a) h = Mul(p, half) y = Add(h, a)",
}


@pytest.mark.parametrize("body", NEITHER.values(), ids=NEITHER)
def test_what_looks_like_one_is_left_alone(body: str) -> None:
    shape: Constants = {"shape": np.asarray([3, 1, 1])}
    given = behind_conv(body, (), CONSTANTS | shape)
    result = applied(fuse_gelu, given)
    assert result.graph == given
    assert result.changed == ()
    (left,) = result.left
    assert left.endswith(": is no part of a GELU")
    assert any(isinstance(node.operator, Erf) for node in result.graph.nodes)


@pytest.mark.parametrize("shown", ["e", "a"])
def test_left_alone_where_the_share_is_an_output(shown: str) -> None:
    given = graph(ROOT + FORMS["behind"], "y", shown)
    result = applied(fuse_gelu, given)
    assert result.graph == given
    assert result.left == ("Erf_e: is no part of a GELU",)


NO_TANH = {
    "a Tanh alone": "y = Tanh(v)",
    "another slope": BENT.replace("Mul(b, slope)", "Mul(b, half)") + FORMS["behind"],
    "another share of the cube": BENT.replace("small", "half") + FORMS["behind"],
    "the square": BENT.replace("Mul(q, v)", "Mul(q, q)") + FORMS["behind"],
    "another cube": "u = Exp(v) " + BENT.replace("Mul(v, v)", "Mul(u, u)") + FORMS["behind"],
    "another x": BENT + "u = Exp(v) a = Add(e, one) p = Mul(u, a) y = Mul(p, half)",
    "a clamped square": BENT.replace("q = Mul(v, v)", "r = Mul(v, v) q = Clip(r, one, three)")
    + FORMS["behind"],
}


@pytest.mark.parametrize("body", NO_TANH.values(), ids=NO_TANH)
def test_a_tanh_of_something_else_is_none(body: str) -> None:
    given = graph(body)
    result = applied(fuse_gelu, given)
    assert result.graph == given
    # A Tanh has a form of its own, so that there is nothing to say.
    assert (result.changed, result.left) == ((), ())


@pytest.mark.parametrize("clamped", ["q", "c"])
def test_a_clamp_that_was_folded_into_a_part_is_none(clamped: str) -> None:
    body = BENT.replace(f"{clamped} =", f"{clamped}0 =").replace(
        f"{'c' if clamped == 'q' else 'k'} =",
        f"{clamped} = Clip({clamped}0, minus, three) {'c' if clamped == 'q' else 'k'} =",
    )
    given = fold_clamp(graph(body + FORMS["behind"])).graph
    assert any(isinstance(n.operator, Mul) and n.operator.clamp for n in given.nodes)
    result = applied(fuse_gelu, given)
    assert result.changed == ()
    assert any(isinstance(node.operator, Tanh) for node in result.graph.nodes)


def test_a_clamp_that_was_folded_into_the_product_is_none() -> None:
    body = ROOT + "a = Add(e, one) p = Mul(v, a) r = Clip(p, minus, three) y = Mul(r, half)"
    given = fold_clamp(graph(body)).graph
    result = applied(fuse_gelu, given)
    assert result.graph == given
    assert result.left == ("Erf_e: is no part of a GELU",)


def test_two_in_a_row() -> None:
    body = ROOT + FORMS["behind"].replace("y =", "u =")
    again = "s2 = Div(u, root2) e2 = Erf(s2) a2 = Add(e2, one) p2 = Mul(u, a2) y = Mul(p2, half)"
    result = applied(fuse_gelu, graph(body + again))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "Gelu", "Gelu"]


def test_among_all_passes_a_clamp_behind_does_not_hide_it() -> None:
    body = f"v = Conv(x, w) {ROOT} {FORMS['behind'].replace('y =', 'n =')} y = Relu(n)"
    made, _ = run_passes(imported(build(body, **CONSTANTS)))
    assert [node.kind for node in made.nodes] == ["Conv", "Gelu", "Clamp"]


def test_left_where_the_weight_behind_would_overflow() -> None:
    # 3e38 (e + 1) x is 6e38 GELUs.
    result = applied(fuse_gelu, graph(ROOT + "a = Add(e, one) p = Mul(v, a) y = Mul(p, most)"))
    assert "Gelu" not in [node.kind for node in result.graph.nodes]
