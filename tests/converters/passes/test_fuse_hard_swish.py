import numpy as np
import pytest

from converters.graph import Graph
from converters.operators import Affine, HardSwish
from converters.passes import run_passes
from converters.passes.fold_affine import fold_affine
from converters.passes.fold_clamp import fold_clamp
from converters.passes.fuse_hard_swish import fuse_hard_swish
from tests.converters.models import build, imported, normal, run
from tests.converters.passes.graphs import applied, behind_conv, constants

GATE = "a = Add(v, three) c = Clip(a, zero, six) "
SIGMOID = "c = HardSigmoid<alpha=0.16666667>(v) "


CONSTANTS = constants(
    {"zero": 0, "half": 0.5, "one": 1, "two": 2, "three": 3, "six": 6, "sixth": 1 / 6}
)


def graph(body: str, *outputs: str) -> Graph:
    return behind_conv(body, outputs, CONSTANTS)


FORMS = {
    "the sixth behind": GATE + "p = Mul(v, c) y = Div(p, six)",
    "the sixth behind, multiplied": GATE + "p = Mul(c, v) y = Mul(sixth, p)",
    "the sixth at the clamp": GATE + "d = Div(c, six) y = Mul(v, d)",
    "the sixth at the clamp, first": GATE + "d = Mul(c, sixth) y = Mul(d, v)",
    "the sixth at x": GATE + "d = Div(v, six) y = Mul(d, c)",
    "the sixth inside the clamp": "d = Div(v, six) a = Add(d, half) c = Clip(a, zero, one) "
    "y = Mul(v, c)",
    "the sixth in two places": GATE + "d = Div(v, two) p = Mul(d, c) y = Div(p, three)",
    "a hard sigmoid": SIGMOID + "y = Mul(v, c)",
    "a hard sigmoid, first": SIGMOID + "y = Mul(c, v)",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_with_the_sixth_in_every_place(form: str) -> None:
    result = applied(fuse_hard_swish, graph(form))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "HardSwish"]
    assert result.graph.nodes[-1].output == "y"
    (changed,) = result.changed
    assert changed.endswith("_y as HardSwish")


def test_numbers_are_those_of_the_operator() -> None:
    # The oracle is ONNX Runtime's own HardSwish.
    x = normal(1, 3, 8, 8, spread=4)
    (theirs,) = run(build("y = HardSwish(x)"), x)
    for form in FORMS.values():
        model = build(f"v = Identity(x) {form}", **CONSTANTS)
        np.testing.assert_allclose(run(model, x)[0], theirs, rtol=1e-5, atol=1e-5)
        result = fuse_hard_swish(fold_affine(imported(model)).graph)
        assert [node.operator for node in result.graph.nodes] == [HardSwish()]


@pytest.mark.parametrize(
    ("body", "gain"),
    [
        (GATE + "p = Mul(v, c) y = Mul(p, half)", 3),
        (SIGMOID + "p = Mul(v, c) y = Mul(p, two)", 2),
    ],
)
def test_a_factor_that_is_left_stays(body: str, gain: float) -> None:
    result = applied(fuse_hard_swish, graph(body))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "HardSwish", "Affine"]
    affine = result.graph.nodes[-1].operator
    assert isinstance(affine, Affine)
    np.testing.assert_allclose(affine.weight, gain)


def test_a_batch_normalization_behind_takes_the_sixth() -> None:
    body = GATE + "p = Mul(v, c) n = Div(p, six) y = BatchNormalization(n, g, o, o, var)"
    result = applied(fuse_hard_swish, graph(body))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "HardSwish", "Affine"]


def test_a_gate_that_others_read_stays() -> None:
    body = SIGMOID + "y = Mul(v, c) z = Sqrt(c)"
    result = applied(fuse_hard_swish, graph(body, "y", "z"))
    kinds = [node.kind for node in result.graph.nodes]
    assert kinds == ["Conv", "Affine", "Clamp", "HardSwish", "Sqrt"]


@pytest.mark.parametrize("shown", ["a", "c"])
def test_a_part_that_is_an_output_stays(shown: str) -> None:
    result = applied(fuse_hard_swish, graph(FORMS["the sixth behind"], "y", shown))
    assert shown in [node.output for node in result.graph.nodes]
    assert len(result.changed) == 1


def test_two_products_with_one_gate() -> None:
    body = SIGMOID + "y = Mul(v, c) z = Mul(c, v)"
    result = applied(fuse_hard_swish, graph(body, "y", "z"))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "HardSwish", "HardSwish"]


NEITHER = {
    "the gate of another value": "u = Exp(v) " + SIGMOID + "y = Mul(u, c)",
    "a scale of each channel": "q = GlobalAveragePool(v) h = HardSigmoid(q) y = Mul(v, h)",
    "another slope": "c = HardSigmoid(v) y = Mul(v, c)",
    "another offset": "a = Add(v, two) c = Clip(a, zero, six) p = Mul(v, c) y = Div(p, six)",
    "another upper limit": "a = Add(v, three) c = Clip(a, zero, two) p = Mul(v, c) y = Div(p, six)",
    "no upper limit": "a = Add(v, three) c = Relu(a) p = Mul(v, c) y = Div(p, six)",
    "another lower limit": "m = Neg(one) a = Add(v, three) c = Clip(a, m, six) p = Mul(v, c) "
    "y = Div(p, six)",
    "no sum": "c = Clip(v, zero, six) p = Mul(v, c) y = Div(p, six)",
    "a sum instead of the product": SIGMOID + "y = Add(v, c)",
    "the square of the gate": SIGMOID + "y = Mul(c, c)",
    "no sixth": GATE + "y = Mul(v, c)",
    "a sixth for one of two readers": GATE + "p = Mul(v, c) h = Div(p, six) y = Add(p, h)",
}


@pytest.mark.parametrize("body", NEITHER.values(), ids=NEITHER)
def test_what_looks_like_one_is_left_alone(body: str) -> None:
    given = graph(body)
    result = applied(fuse_hard_swish, given)
    assert result.graph == given
    assert (result.changed, result.left) == ((), ())


def test_a_clamp_that_was_folded_into_the_product_is_none() -> None:
    given = fold_clamp(graph(GATE + "p = Mul(v, c) r = Clip(p, zero, two) y = Div(r, six)")).graph
    result = applied(fuse_hard_swish, given)
    assert result.graph == given


def test_among_all_passes() -> None:
    body = "v = Conv(x, w) n = BatchNormalization(v, g, o, o, var) "
    form = FORMS["the sixth behind"].replace("v,", "n,")
    made, _ = run_passes(imported(build(f"{body} {form} ", **CONSTANTS)))
    assert [node.kind for node in made.nodes] == ["Conv", "HardSwish"]
