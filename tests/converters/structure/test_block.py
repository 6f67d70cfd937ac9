from __future__ import annotations

import pytest

from converters.anatomy import anatomy
from converters.graph import Graph
from converters.passes import SIMPLIFY, run_passes
from converters.structure.block import (
    BASIC,
    BOTTLENECK,
    INVERTED,
    LINEAR_SEPARABLE,
    OTHER,
    SEPARABLE,
    Block,
    blocks,
)
from tests.converters.models import Constants, build, f32, imported, normal

CONSTANTS: Constants = {
    "stem": normal(8, 3, 3, 3),
    "expand": normal(24, 8, 1, 1, seed=1),
    "deep": normal(24, 1, 3, 3, seed=2),
    "project": normal(8, 24, 1, 1, seed=3),
    "widen": normal(16, 24, 1, 1, seed=4),
    "each": normal(8, 1, 3, 3, seed=5),
    "mix": normal(12, 8, 1, 1, seed=6),
    "full": normal(8, 8, 3, 3, seed=7),
    "narrow": normal(2, 8, 1, 1, seed=8),
    "inner": normal(2, 2, 3, 3, seed=9),
    "wide": normal(8, 2, 1, 1, seed=10),
    "down": normal(6, 24, 1, 1, seed=11),
    "up": normal(24, 6, 1, 1, seed=12),
    "aside": normal(16, 8, 1, 1, seed=13),
    "double": normal(16, 8, 3, 3, seed=14),
    "same": normal(16, 16, 3, 3, seed=15),
    "zero": f32(0),
    "six": f32(6),
}
STEM = "a = Conv<pads=[1,1,1,1]>(x, stem) s = Relu(a) "
EXPAND = "b = Conv(s, expand) c = Clip(b, zero, six) "
DEEP = "d = Conv<group=24, pads=[1,1,1,1], strides=[{0},{0}]>(c, deep) e = Clip(d, zero, six) "


def graph(body: str) -> Graph:
    return run_passes(imported(build(body, **CONSTANTS)), SIMPLIFY)[0]


def only(body: str) -> Block:
    """Return the block behind the stem."""
    made = graph(STEM + body)
    found = [one for one in blocks(made, anatomy(made)) if one.name.startswith("block")]
    assert len(found) == 1
    return found[0]


def test_an_inverted_residual_increases_remains_and_reduces() -> None:
    block = only(EXPAND + DEEP.format(1) + "f = Conv(e, project) y = Add(f, s)")
    assert block.kind == INVERTED
    assert block.channels == (8, 24, 24, 8)
    assert block.flow == ("increases 3 times", "remains", "reduces 3 times")
    assert [layer.activation for layer in block.layers] == ["ReLU6", "ReLU6", "linear"]
    assert (block.expansion, block.stride, block.shortcut) == (3, 1, "identity")
    assert (block.input, block.output) == ((8, 8, 8), (8, 8, 8))


def test_one_that_strides_has_no_shortcut() -> None:
    block = only(EXPAND + DEEP.format(2) + "y = Conv(e, widen)")
    assert (block.kind, block.stride, block.shortcut) == (INVERTED, 2, "")
    assert block.output == (16, 4, 4)
    assert block.flow[-1] == "reduces 1.5 times"


def test_a_residual_bottleneck_reduces_remains_and_increases() -> None:
    body = "b = Conv(s, narrow) c = Relu(b) d = Conv<pads=[1,1,1,1]>(c, inner) e = Relu(d) "
    block = only(body + "f = Conv(e, wide) g = Add(f, s) y = Relu(g)")
    assert block.kind == BOTTLENECK
    assert block.flow == ("reduces 4 times", "remains", "increases 4 times")
    assert block.shortcut == "identity"
    # The activation behind the sum is none of the layer's.
    assert [layer.activation for layer in block.layers] == ["ReLU", "ReLU", "linear"]


def test_a_shortcut_may_project() -> None:
    body = "b = Conv<pads=[1,1,1,1], strides=[2,2]>(s, double) c = Relu(b) "
    body += "d = Conv<pads=[1,1,1,1]>(c, same) e = Conv<strides=[2,2]>(s, aside) y = Add(d, e)"
    block = only(body)
    assert (block.kind, block.shortcut, block.stride) == (BASIC, "projection", 2)
    assert block.channels == (8, 16, 16)


@pytest.mark.parametrize(("end", "kind"), [("Relu", SEPARABLE), ("Identity", LINEAR_SEPARABLE)])
def test_what_stands_behind_the_last_layer_makes_a_bottleneck_linear(end: str, kind: str) -> None:
    body = "b = Conv<group=8, pads=[1,1,1,1]>(s, each) c = Relu(b) d = Conv(c, mix) "
    block = only(body + f"y = {end}(d)")
    assert block.kind == kind
    assert block.channels == (8, 8, 12)


def test_a_squeeze_excite_is_seen_and_is_on_no_way_through() -> None:
    excite = "p = GlobalAveragePool(e) q = Conv(p, down) r = Relu(q) t = Conv(r, up) "
    excite += "u = HardSigmoid(t) v = Mul(e, u) "
    block = only(EXPAND + DEEP.format(1) + excite + "f = Conv(v, project) y = Add(f, s)")
    assert block.has_excitation
    assert block.kind == INVERTED
    assert block.channels == (8, 24, 24, 8)
    plain = only(EXPAND + DEEP.format(1) + "f = Conv(e, project) y = Add(f, s)")
    assert not plain.has_excitation


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("c = HardSwish(b) ", "HardSwish"),
        ("z = Sigmoid(b) c = Mul(b, z) ", "SiLU"),
        ("c = Relu(b) ", "ReLU"),
    ],
)
def test_the_activation_of_a_layer_is_named(function: str, name: str) -> None:
    block = only("b = Conv(s, expand) " + function + DEEP.format(1) + "y = Conv(e, project)")
    assert block.layers[0].activation == name
    assert block.kind == INVERTED


def test_what_does_not_expand_is_not_inverted() -> None:
    body = "b = Conv(s, thin) c = Relu(b) d = Conv<group=4, pads=[1,1,1,1]>(c, few) e = Relu(d) "
    model = build(
        STEM + body + "y = Conv(e, out)",
        thin=normal(4, 8, 1, 1),
        few=normal(4, 1, 3, 3),
        out=normal(8, 4, 1, 1),
        stem=CONSTANTS["stem"],
    )
    made = run_passes(imported(model), SIMPLIFY)[0]
    (block,) = (one for one in blocks(made, anatomy(made)) if one.name.startswith("block"))
    assert block.kind == OTHER
    assert block.flow == ("reduces 2 times", "remains", "increases 2 times")
