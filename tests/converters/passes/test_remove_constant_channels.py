from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from converters.bounds import sums
from converters.bounds.interval import F64, Bounds, Mask
from converters.graph import Graph, PassResult
from converters.operators import Conv, Gemm, Reshape, Shape, Slice
from converters.passes.fold_clamp import fold_clamp
from converters.passes.remove_constant_channels import remove_constant_channels
from edge.tensors import F32, Array
from tests.converters import random_graphs
from tests.converters.models import Constants, build, f32, imported, int64, normal
from tests.converters.passes.graphs import applied

one_by_one = partial(remove_constant_channels, multiple=1)
two_by_two = partial(remove_constant_channels, multiple=2)
SIX: Constants = {"zero": f32(0), "six": f32(6)}
MODULE = sys.modules[remove_constant_channels.__module__]
PADDED = "<pads=[1,1,1,1]>"


def zeroed(weight: F32, *rows: int) -> F32:
    """Return a kernel whose output channels `rows` have no weight."""
    weight = weight.copy()
    weight[list(rows)] = 0
    return weight


def unread(weight: F32, *columns: int) -> F32:
    weight = weight.copy()
    weight[:, list(columns)] = 0
    return weight


def graph_of(body: str, **constants: Array) -> Graph:
    given: Constants = constants
    outputs = ("y", "z") if " z = " in body else ("y",)
    return fold_clamp(imported(build(body, outputs=outputs, **given))).graph


def counts(result: PassResult) -> list[int]:
    """Return how many channels each convolution and matrix makes."""
    return [
        len(node.operator.weight)
        for node in result.graph.nodes
        if isinstance(node.operator, Conv | Gemm)
    ]


@pytest.mark.parametrize("bias", [-1.0, 0.0])
def test_a_zero_channel_goes_from_every_layer_up_to_its_reader(bias: float) -> None:
    body = f"a = Conv{PADDED}(x, w, b) r = Relu(a) m = MaxPool<kernel_shape=[2,2]>(r) "
    body += f"d = Conv<group=5, pads=[1,1,1,1]>(m, k) s = HardSwish(d) y = Conv{PADDED}(s, p)"
    given = {"w": zeroed(normal(5, 3, 3, 3), 1, 4), "b": f32([1, bias, 2, 3, bias])}
    graph = graph_of(body, **given, k=normal(5, 1, 3, 3), p=normal(4, 5, 3, 3))
    result = applied(one_by_one, graph)
    assert counts(result) == [3, 3, 4]
    assert result.changed == ("Conv_a: 5 channels to 3", "Conv_d: 5 channels to 3")
    assert result.left == ()
    assert isinstance(result.graph.nodes[2].operator, Conv)
    assert result.graph.nodes[2].operator.groups == 3


def test_a_constant_goes_into_the_next_bias() -> None:
    body = "a = Conv(x, w, b) r = Clip(a, zero, six) y = Conv(r, p)"
    w, p = zeroed(normal(3, 3, 1, 1), 0), normal(4, 3, 2, 2)
    result = applied(one_by_one, graph_of(body, w=w, b=f32([2.5, 1, 1]), p=p, **SIX))
    last = result.graph.nodes[-1].operator
    assert isinstance(last, Conv)
    np.testing.assert_allclose(last.bias, 2.5 * p[:, 0].sum(axis=(1, 2)), rtol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "bias", "left"),
    [
        ("<pads=[1,1,1,1]>", 2.0, 1),  # a window at the border sums fewer of them
        ("<pads=[0,0,0,1]>", 2.0, 1),
        ("<pads=[1,1,1,1]>", -2.0, 0),  # zeros like the padding's
        ("", 2.0, 0),
        ("<pads=[0,0,1,1], strides=[2,2]>", 2.0, 1),
        ("<pads=[0,0,1,1], strides=[4,4]>", 2.0, 0),  # padding that no window reaches
        ("<pads=[2,2,2,2], dilations=[2,2]>", 2.0, 1),
    ],
)
def test_a_constant_and_the_zeros_around_it(attributes: str, bias: float, left: int) -> None:
    body = f"a = Conv(x, w, b) r = Relu(a) y = Conv{attributes}(r, p)"
    w, p = zeroed(normal(3, 3, 1, 1), 1), normal(4, 3, 3, 3)
    result = applied(one_by_one, graph_of(body, w=w, b=f32([1, bias, 1]), p=p))
    assert counts(result) == [2 + left, 4]
    assert result.left == ("Conv_a: 1 constant: Conv_y adds zeros around them",) * left


def test_numbers_at_the_border_are_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same network, with a survey that forgets the border."""
    body = f"a = Conv(x, w, b) y = Conv{PADDED}(a, p)"
    w, p = zeroed(normal(3, 3, 1, 1), 1), normal(4, 3, 3, 3)
    graph = graph_of(body, w=w, b=f32([1, 2, 1]), p=p)
    monkeypatch.setattr(MODULE, "windows", no_border)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        applied(one_by_one, graph)


@pytest.mark.parametrize(
    ("kernel", "bias", "left"),
    [
        # Of 2 around a 1 in the middle: 1 + 2 * 2 in a corner, 1 + 4 * 2 inside.
        ([0, 1, 0, 1, 0.5, 1, 0, 1, 0], -10.0, 0),  # nowhere above 0
        ([0, 1, 0, 1, 0.5, 1, 0, 1, 0], 4.0, 0),  # nowhere below 6
        ([0, 1, 0, 1, 0.5, 1, 0, 1, 0], -6.0, 1),  # above 0 but in a corner
        ([0, 0, 0, 0, 0.5, 0, 0, 0, 0], 1.0, 0),  # the same everywhere
    ],
)
def test_what_a_clamp_makes_constant_at_the_border_too(
    kernel: list[float], bias: float, left: int
) -> None:
    body = "a = Conv(x, w, b) d = Conv<group=2, pads=[1,1,1,1]>(a, k, c) "
    body += "r = Clip(d, zero, six) y = Conv(r, p)"
    k = np.stack([normal(9), f32(kernel)]).reshape(2, 1, 3, 3)
    given = {"w": zeroed(normal(2, 3, 1, 1), 1), "b": f32([0, 2]), "k": k, "c": f32([1, bias])}
    result = applied(one_by_one, graph_of(body, **given, p=normal(3, 2, 1, 1), **SIX))
    assert counts(result) == [1 + left, 1 + left, 3]
    reason = "Conv_a: 1 constant: Conv_y reads what depends on the picture"
    assert result.left == (reason,) * left


@pytest.mark.parametrize(
    ("bias", "removed"),
    [
        (-12.0, 0),  # 2 * 6 - 12 may be a rounding above 0
        (-12.0001, 1),
        (6.0, 0),  # -1 * 6 + 12, the like
        (12.0001, 1),
        (12.0, 0),
    ],
)
def test_what_saturates_whatever_the_picture(bias: float, removed: int) -> None:
    body = "a = Conv(x, w) r = Clip(a, zero, six) c = Conv(r, k, b) s = Clip(c, zero, six) "
    body += "y = Conv(s, p)"
    k = np.stack([normal(3), f32([2, -1, 0])]).reshape(2, 3, 1, 1)
    given = {"w": normal(3, 3, 1, 1), "k": k, "b": f32([0, bias]), "p": normal(3, 2, 1, 1)}
    result = applied(one_by_one, graph_of(body, **given, **SIX))
    # Column 2 is read by the first row alone; row 1 goes or stays.
    assert counts(result) == [3, 2 - removed, 3]


def test_nothing_saturates_that_no_clamp_bounds() -> None:
    body = "a = Conv(x, w) r = Relu(a) c = Conv(r, k, b) s = Clip(c, zero, six) y = Conv(s, p)"
    given = {"w": normal(3, 3, 1, 1), "b": f32([-1e6, -1, 1]), "p": normal(3, 3, 1, 1)}
    k = np.stack([np.abs(normal(3)), -np.abs(normal(3)), normal(3)]).reshape(3, 3, 1, 1)
    result = applied(one_by_one, graph_of(body, **given, k=k, **SIX))
    assert counts(result) == [3, 2, 3]  # only the second, which never adds, is never above 0


def test_what_nobody_reads_goes_and_what_it_read_too() -> None:
    body = "a = Conv(x, w) b = Relu(a) c = Conv(b, k) d = Relu(c) y = Conv(d, p)"
    k = normal(4, 3, 1, 1)
    k[:3, 1] = 0  # channel 1 of `a` is for channel 3 of `c` alone
    result = applied(
        one_by_one, graph_of(body, w=normal(3, 3, 1, 1), k=k, p=unread(normal(2, 4, 1, 1), 3))
    )
    assert counts(result) == [2, 3, 2]


def test_what_one_of_two_readers_reads_stays() -> None:
    body = "a = Conv(x, w) b = Relu(a) y = Conv(b, p) z = Conv(b, q)"
    p, q = unread(normal(2, 4, 1, 1), 1, 2), unread(normal(2, 4, 1, 1), 2, 3)
    result = applied(one_by_one, graph_of(body, w=normal(4, 3, 1, 1), p=p, q=q))
    assert counts(result) == [3, 2, 2]


@pytest.mark.parametrize(
    ("rows", "removed"), [((1,), 0), ((), 0), ((1, 2), 1)], ids=["one", "none", "both"]
)
def test_a_sum_is_constant_where_both_are(rows: tuple[int, ...], removed: int) -> None:
    body = "a = Conv(x, w, b) c = Conv(x, k) s = Add(a, c) t = Relu(s) y = Conv(t, p)"
    w = zeroed(normal(3, 3, 1, 1), *rows)
    k = zeroed(normal(3, 3, 1, 1, seed=1), 2)
    given = {"w": w, "k": k, "b": f32([1, 2, 3]), "p": normal(2, 3, 1, 1)}
    result = applied(one_by_one, graph_of(body, **given))
    assert counts(result) == [3 - removed, 3 - removed, 2]
    if rows == (1,):
        assert result.left == (
            "Conv_a: 1 constant: Conv_y reads what depends on the picture",
            "Conv_c: 1 constant: Conv_y reads what depends on the picture",
        )


def test_a_gate_goes_with_what_it_gates() -> None:
    body = "a = Conv(x, w, b) r = Relu(a) g = GlobalAveragePool(r) h = Conv(g, k) "
    body += "i = Sigmoid(h) m = Mul(r, i) y = Conv<pads=[1,1,1,1]>(m, p)"
    given = {"w": zeroed(normal(4, 3, 1, 1), 2), "b": f32([1, 1, -1, 1])}
    graph = graph_of(body, **given, k=normal(4, 4, 1, 1), p=normal(2, 4, 3, 3))
    assert counts(applied(one_by_one, graph)) == [3, 3, 2]


@pytest.mark.parametrize("flat", ["f = Flatten(r)", "f = Reshape(r, minus)"])
def test_each_channel_is_a_run_of_a_flattened_value(flat: str) -> None:
    body = f"a = Conv<strides=[4,4]>(x, w, b) r = Relu(a) {flat} y = Gemm(f, p)"
    given = {"w": zeroed(normal(3, 3, 1, 1), 1), "b": f32([1, 2, 3]), "p": normal(12, 5)}
    result = applied(one_by_one, graph_of(body, **given, minus=int64(1, -1)))
    assert counts(result) == [2, 5]
    (shape,) = (n.operator for n in result.graph.nodes if isinstance(n.operator, Reshape))
    assert shape.shape == (1, 8)


def test_parts_and_parts_joined() -> None:
    body = "a = Conv(x, w) s = Slice(a, zero, two, one) t = Slice(a, two, five, one) "
    body += "u = Conv(t, k) v = Relu(u) c = Concat<axis=1>(v, s) y = Conv(c, p)"
    w = zeroed(normal(5, 3, 1, 1), 1, 3)
    starts = {"zero": int64(0), "two": int64(2), "five": int64(5), "one": int64(1)}
    k = zeroed(normal(3, 3, 1, 1, seed=1), 0)
    result = applied(one_by_one, graph_of(body, w=w, k=k, p=normal(2, 5, 1, 1), **starts))
    assert counts(result) == [3, 2, 2]
    slices = [n.operator for n in result.graph.nodes if isinstance(n.operator, Slice)]
    assert [(s.starts, s.stops) for s in slices] == [((0,), (1,)), ((1,), (3,))]


@pytest.mark.parametrize(
    ("middle", "x", "reason"),
    [
        ("m = Conv<group=2>(r, g) y = Relu(m)", 4, "Conv_m (Conv) reads them as a whole"),
        ("m = Softmax<axis=1>(r) y = Conv(m, p)", 4, "Softmax_m (Softmax) reads them as a whole"),
        ("q = Identity(r) y = Relu(q)", 4, "they are an output"),
        ("m = ReduceMax<axes=[1]>(r) y = Conv(m, o)", 4, "ReduceMax_m (ReduceMax) reads them"),
        ("m = DepthToSpace<blocksize=2>(r) y = Conv(m, o)", 4, "reads them as a whole"),
        ("m = Reshape(r, four) y = Relu(m)", 4, "Reshape_m (Reshape) reads them as a whole"),
    ],
)
def test_left_alone(middle: str, x: int, reason: str) -> None:
    body = f"a = Conv(x, w, b) r = Exp(a) {middle}"
    constants = {
        "g": normal(2, 2, 1, 1),
        "p": normal(2, 4, 1, 1),
        "o": normal(2, 1, 1, 1),
        "four": int64(1, 2, 2, 64),
    }
    used = {k: v for k, v in constants.items() if f" {k})" in middle}
    graph = graph_of(body, w=zeroed(normal(x, 3, 1, 1), 0, 1), b=normal(x), **used)
    result = applied(one_by_one, graph)
    assert result.graph == graph
    assert result.changed == ()
    (left,) = result.left
    assert left.startswith("Conv_a: 2 constant: ")
    assert reason in left


def test_one_channel_remains() -> None:
    body = "a = Conv(x, w, b) r = Relu(a) d = Conv<group=3>(r, k) y = Conv(d, p)"
    w = np.zeros((3, 3, 1, 1), np.float32)
    given = {"b": f32([1, -2, 3]), "k": normal(3, 1, 1, 1), "p": normal(2, 3, 1, 1)}
    assert counts(applied(one_by_one, graph_of(body, w=w, **given))) == [1, 1, 2]


@pytest.mark.parametrize(
    ("channels", "dead", "kept"),
    [(16, 7, 16), (16, 8, 8), (16, 9, 8), (16, 16, 8), (7, 6, 7), (20, 3, 20), (20, 4, 16)],
)
def test_a_layer_keeps_a_multiple_of_eight(channels: int, dead: int, kept: int) -> None:
    w = zeroed(normal(channels, 3, 1, 1), *range(dead))
    graph = graph_of("a = Conv(x, w) y = Conv(a, p)", w=w, p=normal(2, channels, 1, 1))
    result = applied(remove_constant_channels, graph)
    assert counts(result) == [kept, 2]
    spare = kept - (channels - dead)
    reason = f"Conv_a: {spare} constant: fewer than a multiple of 8 is no faster"
    said = [left for left in result.left if left.startswith("Conv_a")]
    assert said == ([reason] if spare else [])


def test_of_two_that_fill_up_the_constant_one_stays() -> None:
    w = zeroed(normal(17, 3, 1, 1), 9)
    p = unread(normal(2, 17, 1, 1), 3)
    result = applied(remove_constant_channels, graph_of("a = Conv(x, w) y = Conv(a, p)", w=w, p=p))
    assert counts(result) == [16, 2]
    first = result.graph.nodes[0].operator
    assert isinstance(first, Conv)
    np.testing.assert_array_equal(first.weight, np.delete(w, 3, axis=0))


@pytest.mark.parametrize(("most", "changed"), [(8 + 8 + 8, 1), (8 + 8 + 8 - 1, 0)])
def test_so_many_are_looked_at(most: int, changed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "MOST", most)
    w = zeroed(normal(3, 3, 1, 1), 1)
    result = applied(
        one_by_one, graph_of("a = Conv(x, w) y = Conv(a, p)", w=w, p=normal(2, 3, 1, 1))
    )
    assert len(result.changed) == changed
    left = (f"more than {most} channels are not looked at",)
    assert result.left == (() if changed else left)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_not_constant(wrong: float) -> None:
    # The importer refuses such weights; a product of two may still overflow.
    body = "a = Conv(x, w) r = Relu(a) y = Conv(r, p)"
    graph = graph_of(body, w=zeroed(normal(3, 3, 1, 1), 1), p=normal(2, 3, 1, 1))
    first, last = graph.nodes
    assert isinstance(first.operator, Conv)
    for part in ("weight", "bias"):
        constant = getattr(first.operator, part).copy()
        constant[1] = wrong if part == "bias" else [[[wrong]], [[0]], [[0]]]
        spoiled = replace(first, operator=replace(first.operator, **{part: constant}))
        assert one_by_one(graph.with_nodes([spoiled, last])).changed == ()
    assert one_by_one(graph).changed == ("Conv_a: 3 channels to 2",)


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_compute_the_same(seed: int) -> None:
    applied(two_by_two, random_graphs.network(seed))
    applied(remove_constant_channels, random_graphs.network(seed, wide=True))


def test_most_random_networks_lose_channels() -> None:
    """Else the test above would hold little."""
    for rewrite, wide in ((two_by_two, False), (remove_constant_channels, True)):
        results = [rewrite(random_graphs.network(seed, wide=wide)) for seed in range(60)]
        assert sum(bool(result.changed) for result in results) > 30


def no_border(operator: Conv | Gemm, _: Shape) -> Mask:
    return np.ones((1, operator.weight[0, 0].size), np.bool_)


def one_number(bounds: Bounds, _: F64) -> Bounds:
    """Return the middle of bounds, as if that were all that they hold."""
    middle = (bounds.low + bounds.high) / 2
    return Bounds(middle, middle)


@pytest.mark.parametrize(
    ("owner", "part", "wrong"), [(sums, "windows", no_border), (Bounds, "widened", one_number)]
)
def test_random_networks_notice_bounds_that_are_wrong(
    owner: object, part: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, part, wrong)
    failed = 0
    for seed in range(60):
        try:
            applied(two_by_two, random_graphs.network(seed))
        except AssertionError:
            failed += 1
    assert failed
