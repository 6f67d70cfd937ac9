import numpy as np
import pytest

from calibration.channels import Channels, observe_channels
from converters.calibrate import FloatGraph
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from converters.operators import Conv
from converters.passes import run_passes
from converters.quantize.equalize import equalize, groups
from converters.quantize.rescale import LEAST_POSITIONS, MOST_GAIN
from edge.tensors import Array
from tests.converters.models import Constants, build, f32, imported, normal, run

SIZES = f32([0.01, 0.3, 1, 3, 30, 100]).reshape(6, 1, 1, 1)
CONSTANTS: Constants = {
    "stem": normal(6, 3, 1, 1) * SIZES,
    "offset": normal(6, seed=4) * SIZES.ravel() * 3,
    "up": normal(12, 6, 1, 1, seed=1),
    "deep": normal(12, 1, 3, 3, seed=2),
    "down": normal(6, 12, 1, 1, seed=3) * SIZES,
    "wide": normal(5, 6, 3, 3, seed=5),
    "zero": f32(0),
    "one": f32(1),
    "six": f32(6),
}
STEM = "a = Conv(x, stem, offset) "
BLOCK = (
    "b = Conv(a, up) c = Clip(b, zero, six) d = Conv<group=12, pads=[1,1,1,1]>(c, deep) "
    "e = Clip(d, zero, six) f = Conv(e, down) g = Add(a, f) "
)


def graph(body: str) -> Graph:
    return run_passes(imported(build(body, **CONSTANTS)))[0]


def channels(of: Graph) -> dict[str, Channels]:
    names = [name for group in groups(of) for name in group.values]
    runner = FloatGraph(of, names)
    return observe_channels(names, (runner.run(normal(1, 3, 8, 8, seed=s)) for s in range(4)))


def values(of: Graph) -> list[set[str]]:
    return [set(group.values) for group in groups(of)]


def test_a_residual_group_is_one() -> None:
    of = graph(STEM + BLOCK + "y = Conv(g, up)")
    assert values(of) == [{"a", "f", "g"}, {"c"}, {"e"}]
    group = groups(of)[0]
    assert group.moves
    assert group.values.index("g") == 2  # after what it is the sum of


@pytest.mark.parametrize(
    "body",
    [
        STEM + BLOCK + "y = Conv(g, up)",
        STEM + BLOCK + "y = Conv(g, wide)",
        STEM + "y = Conv<pads=[1,1,1,1]>(a, wide)",
        STEM + "r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, wide)",
        STEM + "b = Conv(a, up) r = Relu(b) y = Conv<group=12, pads=[1,1,1,1]>(r, deep)",
    ],
)
def test_the_float_network_stays_the_same(body: str) -> None:
    before = graph(body)
    result = equalize(before, channels(before))
    assert result.changed
    x = normal(1, 3, 8, 8, seed=9)
    (expected,), (found,) = run(write_float(before), x), run(write_float(result.graph), x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_channels_come_nearer_to_each_other_around_zero() -> None:
    before = graph(STEM + "y = Conv(a, wide)")
    after = equalize(before, channels(before)).graph

    def reach(of: Graph) -> Array:
        found = channels(of)["a"]
        largest: Array = np.maximum(-found.low, found.high)
        return largest

    assert reach(after).max() / reach(after).min() < 0.1 * reach(before).max() / reach(before).min()
    assert np.abs(channels(after)["a"].mean / reach(after)).max() < 1e-4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # A move would go through the end of a clamp.
        (STEM + "b = Clip(a, zero, six) y = Conv(b, wide)", [False]),
        (STEM + "b = Clip(a, one, six) y = Conv(b, wide)", []),
        (STEM + "b = Conv(a, wide) s = Add(a, a) t = Clip(s, zero, six) y = Conv(t, wide)", []),
        (STEM + "b = Relu(a) y = Conv(b, wide)", [False]),
        # Zeros at the border would have to move too.
        (STEM + "y = Conv<pads=[1,1,1,1]>(a, wide)", [False]),
        (STEM + "y = Conv(a, wide)", [True]),
        # Everybody who reads it, or is added to it, has to know.
        (STEM + "b = Conv(a, wide) c = Sigmoid(a) d = Conv(c, wide) y = Add(b, d)", []),
        (STEM + "s = Sigmoid(a) t = Add(a, s) y = Conv(t, wide)", []),
        (STEM + "y = Add(a, a)", []),
    ],
)
def test_what_can_be_equalized(body: str, expected: list[bool]) -> None:
    assert [group.moves for group in groups(graph(body))] == expected


def test_an_output_stays() -> None:
    of = imported(build(STEM + "y = Conv(a, wide)", outputs=("y", "a"), **CONSTANTS))
    assert groups(of) == ()


def test_gains_are_bounded_and_dead_channels_have_none() -> None:
    of = graph(STEM + "y = Conv(a, wide)")
    reach = np.array([0, 1e-30, 1, 1, 1e10, 1e30])
    (node,) = (n for n in of.nodes if n.output == "a")
    (after,) = (
        n
        for n in equalize(
            of, {"a": Channels(-reach, reach, reach * 0, reach, reach, 1)}
        ).graph.nodes
        if n.output == "a"
    )
    assert isinstance(node.operator, Conv)
    assert isinstance(after.operator, Conv)
    gain = (after.operator.weight / node.operator.weight).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(gain[[0, 1, 5]], [1, MOST_GAIN, 1 / MOST_GAIN], rtol=1e-5)


CAPPED = (
    "a = Conv(x, stem) b = Clip(a, zero, six) c = Conv<pads=[1,1,1,1]>(b, wide) y = Conv(c, after)"
)


def capped(positions: int) -> tuple[Graph, Graph]:
    of = run_passes(imported(build(CAPPED, **CONSTANTS, after=normal(4, 5, 1, 1, seed=6))))[0]
    zeros = np.zeros(6)
    high = np.array([0.0, 1e-30, 0.1, 1, 4, 6])
    found = {
        name: Channels(zeros[:size], high[:size], zeros[:size], high[:size], high[:size], positions)
        for g in groups(of)
        for name, size in ((name, of.shapes[name][1]) for name in g.values)
    }
    return of, equalize(of, found).graph


def test_below_a_relu6_channels_take_part_of_their_room() -> None:
    before, after = capped(LEAST_POSITIONS)
    old, new = (of.producers["b"].operator for of in (before, after))
    assert isinstance(old, Conv)
    assert isinstance(new, Conv)
    gain = (new.weight / old.weight).mean(axis=(1, 2, 3))
    expected = [1, MOST_GAIN, 60**0.25, 6**0.25, 1.5**0.25, 1]
    np.testing.assert_allclose(gain, expected, rtol=1e-5)
    assert new.clamp == old.clamp


def test_the_network_stays_the_same_as_long_as_no_channel_leaves_its_room() -> None:
    before, after = capped(LEAST_POSITIONS)
    x = normal(1, 3, 8, 8, spread=0.01)
    (expected,), (found,) = run(write_float(before), x), run(write_float(after), x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert np.ptp(expected) > 0


def test_what_was_seen_too_seldom_has_no_gain() -> None:
    before, after = capped(LEAST_POSITIONS - 1)
    old, new = (of.producers["b"].operator for of in (before, after))
    assert isinstance(old, Conv)
    assert isinstance(new, Conv)
    np.testing.assert_array_equal(old.weight, new.weight)


def test_what_costs_nothing_to_fill_is_left_to_that() -> None:
    before = graph(STEM + BLOCK + "y = Conv(g, up)")
    after = equalize(before, channels(before)).graph
    assert "c" in {name for group in groups(before) for name in group.values}
    # What reads "c" and makes "e" has neither the gains of the one nor, of so few positions, of the
    # other.
    deep, same = (of.producers["e"].operator for of in (before, after))
    assert isinstance(deep, Conv)
    assert isinstance(same, Conv)
    np.testing.assert_array_equal(same.weight, deep.weight)
