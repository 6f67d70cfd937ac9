from __future__ import annotations

from collections.abc import Mapping

import pytest

from converters.anatomy import PARTS, Place, anatomy
from converters.graph import Graph
from converters.passes import run_passes
from converters.pipeline import Conversion
from tests.converters.models import Constants, build, f32, imported, normal

IMAGE = "float[1,3,8,8]"
EXPANDED = "e = Conv(x, expand) f = Clip(e, zero, six) "
DEEP = "d = Conv<group=8, pads=[1,1,1,1]>(f, deep) g = Clip(d, zero, six) "
EXCITED = "p = GlobalAveragePool(g) q = Conv(p, down) r = Relu(q) s = Conv(r, up) t = Sigmoid(s) "
EXCITED += "h = Mul(g, t) "
CONSTANTS: Constants = {
    "expand": normal(8, 3, 1, 1),
    "deep": normal(8, 1, 3, 3, seed=1),
    "project": normal(3, 8, 1, 1, seed=2),
    "full": normal(3, 3, 3, 3, seed=3),
    "down": normal(2, 8, 1, 1, seed=4),
    "up": normal(8, 2, 1, 1, seed=5),
    "zero": f32(0),
    "six": f32(6),
}


def graph(body: str, x: str = IMAGE) -> Graph:
    return run_passes(imported(build(body, x, **CONSTANTS)))[0]


def places(made: Graph) -> list[tuple[str, str]]:
    """Return (block, part) of each node in order."""
    found: Mapping[str, Place] = anatomy(made)
    assert {node.name for node in made.nodes} == set(found)
    assert {place.part for place in found.values()} <= set(PARTS)
    return [(found[node.name].block, found[node.name].part) for node in made.nodes]


@pytest.mark.parametrize("excited", [False, True])
@pytest.mark.parametrize("bridged", [False, True])
def test_an_inverted_residual_is_one_block(excited: bool, bridged: bool) -> None:
    source = "h" if excited else "g"
    body = EXPANDED + DEEP + (EXCITED if excited else "")
    body += f"c = Conv({source}, project) " + ("y = Add(c, x)" if bridged else "y = Identity(c)")
    inner = [("block 1", part) for part in ("expand", "depthwise")]
    if excited:
        parts = ("pool", "1x1 convolution", "1x1 convolution", "function", "other")
        inner += [("block 1", part) for part in parts]
    inner += [("block 1", "linear bottleneck")]
    assert places(graph(body)) == inner + [("block 1", "residual sum")] * bridged


def test_a_clamp_makes_it_no_bottleneck_and_two_blocks_are_two() -> None:
    body = EXPANDED + DEEP + "c = Conv(g, project) k = Relu(c) l = Conv(k, expand) m = Relu(l) "
    body += "n = Conv<group=8>(m, deep) y = Conv(n, project)"
    assert places(graph(body)) == [
        ("block 1", "expand"),
        ("block 1", "depthwise"),
        ("block 1", "pointwise"),
        ("block 2", "expand"),
        ("block 2", "depthwise"),
        ("block 2", "linear bottleneck"),
    ]


def test_a_shortcut_bridges_any_layers_and_stem_and_head_are_what_is_around() -> None:
    body = "a = Conv<pads=[1,1,1,1]>(x, full) b = Relu(a) m = MaxPool<kernel_shape=[2,2]>(b) "
    body += "c = Conv<pads=[1,1,1,1]>(m, full) d = Relu(c) e = Conv<pads=[1,1,1,1]>(d, full) "
    body += "s = Add(e, m) r = Relu(s) p = GlobalAveragePool(r) y = Conv(p, expand)"
    assert places(graph(body)) == [
        ("stem", "convolution"),
        ("stem", "pool"),
        ("block 1", "convolution"),
        ("block 1", "convolution"),
        ("block 1", "residual sum"),
        ("block 1", "pool"),
        ("head", "1x1 convolution"),
    ]


def test_a_sum_that_bridges_no_layer_is_not_residual() -> None:
    assert places(graph("a = Conv(x, full) b = Exp(a) y = Add(a, b)"))[-1] == ("layer 1", "sum")


def test_a_plain_chain_has_layers() -> None:
    body = "a = Conv(x, full) b = Relu(a) c = Conv(b, full) f = Flatten(c) y = Softmax(f)"
    assert [block for block, _ in places(graph(body))] == ["layer 1", *["layer 2"] * 3]


def test_a_gain_for_each_channel_is_no_depthwise_layer() -> None:
    body = "c = Conv(x, expand) d = Conv<group=8>(c, gain) e = Relu(d) y = Conv(e, project)"
    made = imported(build(body, IMAGE, gain=normal(8, 1, 1, 1, seed=6), **CONSTANTS))
    assert places(made) == [
        ("layer 1", "1x1 convolution"),
        *[("layer 1", part) for part in ("other", "function")],
        ("layer 2", "1x1 convolution"),
    ]


def test_a_constant_stands_where_it_is_read() -> None:
    body = "a = Conv(x, full) b = Conv(a, full) y = Add(b, other)"
    made, _ = run_passes(imported(build(body, IMAGE, other=normal(1, 3, 4, 4), **CONSTANTS)))
    assert ("layer 2", "other") in places(made)


def test_a_mobilenet_is_seventeen_blocks(conversion: Conversion) -> None:
    found = places(conversion.source.graph)
    blocks = list(dict.fromkeys(block for block, _ in found))
    assert blocks == ["stem", *(f"block {i + 1}" for i in range(17)), "head"]
    parts = [part for _, part in found]
    # t, c, n, s of the paper's table 2: the first block does not expand, ten are residual.
    counts = [parts.count(p) for p in ("expand", "depthwise", "linear bottleneck", "residual sum")]
    assert counts == [16, 17, 17, 10]


def test_long_chains_of_branches_take_no_time() -> None:
    # Two ways through each of sixty sums: whoever went them all would go 2^60.
    body = "c = Conv(x, expand) v0 = Relu(c) "
    body += " ".join(f"a{i} = Abs(v{i}) v{i + 1} = Mul(a{i}, v{i})" for i in range(60))
    assert places(graph(f"{body} y = Exp(v60)"))[0] == ("layer 1", "1x1 convolution")
