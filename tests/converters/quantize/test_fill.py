from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from calibration.channels import ChannelEnds
from calibration.observers import Range
from converters.calibrate import FloatGraph, calibrate
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from converters.operators import Conv
from converters.passes import run_passes
from converters.quantize import fill as filling
from converters.quantize.assign import assign
from converters.quantize.fill import fill, fillable
from converters.quantize.params import from_range
from converters.quantize.rescale import LEAST_POSITIONS, MOST_GAIN
from edge.tensors import F32, Array
from tests.converters.models import Constants, build, f32, imported, normal, run

CONSTANTS: Constants = {
    "w": normal(6, 3, 3, 3) * f32([0.01, 0.1, 0.3, 1, 2, 3]).reshape(6, 1, 1, 1),
    "each": normal(12, 1, 3, 3, seed=1),
    "once": normal(6, 1, 3, 3, seed=2),
    "v": normal(4, 12, 1, 1, seed=3),
    "u": normal(4, 6, 1, 1, seed=4),
    "zero": f32(0),
    "one": f32(1),
    "six": f32(6),
}
FREE = (
    "a = Conv(x, w) b = Clip(a, zero, six) c = Conv<group=6, pads=[1,1,1,1]>(b, each) "
    "y = Conv(c, v)"
)


def graph(body: str) -> Graph:
    return run_passes(imported(build(body, **CONSTANTS)))[0]


def images(count: int) -> list[F32]:
    return [normal(1, 3, 8, 8, seed=seed) for seed in range(count)]


def seen(of: Graph, pictures: list[F32]) -> tuple[Mapping[str, Range], dict[str, ChannelEnds]]:
    names = fillable(of)
    ends = {name: ChannelEnds() for name in names}
    runner = FloatGraph(of, names)
    for x in pictures:
        for name, values in runner.run(x).items():
            ends[name].update(values)
    return calibrate(of, pictures).ranges("minmax"), ends


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FREE, ("b",)),
        ("a = Conv(x, w) b = Conv<group=6>(a, once) y = Conv(b, u)", ("a",)),
        ("a = Conv(x, w) r = Relu(a) b = Conv<group=6>(r, once) y = Conv<group=6>(b, once)", "rb"),
        # A dense reader has one scale for what it multiplies with all of its inputs.
        ("a = Conv(x, w) y = Conv(a, u)", ()),
        (
            (
                "a = Conv(x, w) b = Conv<group=6, pads=[1,1,1,1]>(a, once) c = Conv(a, u) "
                "y = Concat<axis=1>(b, c)"
            ),
            (),
        ),
        # A clamp that is not at zero would have to move with the gain.
        ("a = Conv(x, w) b = Clip(a, one, six) y = Conv<group=6>(b, once)", ()),
        ("a = Conv(x, w) b = MaxPool<kernel_shape=[2,2]>(a) y = Conv<group=6>(b, once)", ()),
    ],
)
def test_what_lies_between_a_convolution_and_a_depthwise_one_can_be_filled(
    body: str, expected: tuple[str, ...]
) -> None:
    assert fillable(graph(body)) == tuple(expected)


def test_an_output_is_left_alone() -> None:
    body = "a = Conv(x, w) y = Conv<group=6>(a, once)"
    of = graph(body)
    assert fillable(of) == ("a",)
    assert fillable(Graph(of.name, of.inputs, ("y", "a"), of.nodes)) == ()


def gains(before: Graph, after: Graph, value: str) -> Array:
    old, new = (of.producers[value].operator for of in (before, after))
    assert isinstance(old, Conv)
    assert isinstance(new, Conv)
    factor: Array = new.weight / old.weight
    assert np.ptp(factor, axis=(1, 2, 3)).max() < 1e-5
    of_channel: Array = factor.mean(axis=(1, 2, 3))
    return of_channel


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few positions do."""
    monkeypatch.setattr(filling, "LEAST_POSITIONS", 100)


def test_channels_take_half_of_their_room_and_none_leaves_the_range() -> None:
    before = graph(FREE)
    ends = ChannelEnds()
    ends.update(np.tile(f32([0, 1e-30, 0.06, 1.5, 6, 9]).reshape(1, 6, 1, 1), (1, 1, 128, 128)))
    after = fill(before, {"b": Range(0, 6)}, {"b": ends}).graph
    expected = [1, MOST_GAIN, 10, 2, 1, 1]
    np.testing.assert_allclose(gains(before, after, "b"), expected, rtol=1e-5)


def test_the_nearer_end_of_a_range_counts() -> None:
    before = graph("a = Conv(x, w) y = Conv<group=6>(a, once)")
    ends = ChannelEnds()
    values = np.zeros((1, 6, 128, 128), np.float32)
    values[0, :, 0, 0], values[0, :, 1, 1] = [-8, -2, 0, 0, -1, -9], [0, 0, 1, 4, 1, 1]
    ends.update(values)
    after = fill(before, {"a": Range(-8, 4)}, {"a": ends}).graph
    np.testing.assert_allclose(gains(before, after, "a"), [1, 2, 2, 1, 2, 1], rtol=1e-5)


def test_what_was_seen_too_seldom_has_no_gain() -> None:
    before = graph(FREE)
    for positions, some in ((LEAST_POSITIONS - 1, False), (LEAST_POSITIONS, True)):
        ends = ChannelEnds()
        ends.update(np.ones((1, 6, positions), np.float32))
        result = fill(before, {"b": Range(0, 6)}, {"b": ends})
        assert bool(result.changed) == some
        changed = gains(before, result.graph, "b")
        np.testing.assert_allclose(changed, [6**0.5 if some else 1] * 6, rtol=1e-5)


@pytest.mark.usefixtures("seldom")
@pytest.mark.parametrize(
    "body", [FREE, "a = Conv(x, w) y = Conv<group=6, pads=[1,1,1,1]>(a, once)"]
)
def test_the_float_network_stays_the_same_and_so_do_the_integers_of_its_weights(body: str) -> None:
    before = graph(body)
    pictures = images(8)
    ranges, ends = seen(before, pictures)
    result = fill(before, ranges, ends)
    (name,) = fillable(before)
    assert gains(before, result.graph, name).max() > 2
    for x in pictures:
        (expected,), (found,) = run(write_float(before), x), run(write_float(result.graph), x)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    table = calibrate(before, pictures).ranges("minmax")
    plain, full = (assign(of, from_range(-4, 4), table) for of in (before, result.graph))
    for node in before.nodes:
        one, other = plain.weights[node.name].weight, full.weights[node.name].weight
        # A gain is no power of two: what lies halfway between two integers may go either way.
        assert np.abs(one.astype(int) - other).max() <= 1
        assert (one == other).mean() > 0.99


@pytest.mark.usefixtures("seldom")
def test_values_are_rounded_in_finer_steps() -> None:
    before = graph(FREE)
    pictures = images(8)
    ranges, ends = seen(before, pictures)
    after = fill(before, ranges, ends).graph
    table = calibrate(before, pictures).ranges("minmax")
    step = from_range(table["b"].low, table["b"].high).scale[0]
    noise = []
    for of in (before, after):
        gain = gains(before, of, "b").reshape(1, 6, 1, 1)
        values = FloatGraph(of, ["b"]).run(pictures[0])["b"]
        noise.append(float((((np.rint(values / step) * step - values) / gain) ** 2).sum()))
    assert noise[1] < 0.6 * noise[0]
