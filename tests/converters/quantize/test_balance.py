from collections.abc import Mapping

import numpy as np
import pytest

from calibration.channels import Channels, observe_channels
from converters.calibrate import FloatGraph
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from converters.operators import Conv
from converters.passes import run_passes
from converters.quantize import balance as balance_module
from converters.quantize.balance import TAIL, balance
from converters.quantize.equalize import groups
from converters.quantize.rescale import MOST_GAIN
from edge.tensors import F32, Array
from tests.converters import random_graphs
from tests.converters.models import Constants, build, f32, imported, normal, run

# Sizes of a depthwise convolution's channels, and of what it reads, that undo each other.
SIZES = f32([0.03, 0.1, 0.3, 1, 1, 2, 5, 10, 30, 1, 1, 1]).reshape(12, 1, 1, 1)
CONSTANTS: Constants = {
    "stem": normal(6, 3, 1, 1) * 0.3,
    "up": normal(12, 6, 1, 1, seed=1) / SIZES,
    "deep": normal(12, 1, 3, 3, seed=2, spread=0.2) * SIZES,
    "down": normal(6, 12, 1, 1, seed=3, spread=0.3),
    "offset": normal(6, seed=4),
    "last": normal(5, 6, 3, 3, seed=5),
    "zero": f32(0),
    "six": f32(6),
    "far": f32(1e6),
}
BLOCK = (
    "a = Conv(x, stem, offset) b = Conv(a, up) c = Clip(b, zero, {end}) "
    "d = Conv<group=12, pads=[1,1,1,1]>(c, deep) e = Clip(d, zero, {end}) "
    "f = Conv(e, down) g = Add(a, f) y = Conv<pads=[1,1,1,1]>(g, last)"
)
RELU6, UNREACHED = BLOCK.format(end="six"), BLOCK.format(end="far")
RELU = UNREACHED.replace("Clip(b, zero, far)", "Relu(b)").replace("Clip(d, zero, far)", "Relu(d)")


def graph(body: str, **constants: Array) -> Graph:
    return run_passes(imported(build(body, **CONSTANTS | constants)))[0]


def pictures(count: int = 8, start: int = 0) -> list[F32]:
    return [normal(1, 3, 8, 8, seed=start + s) for s in range(count)]


def channels(of: Graph) -> dict[str, Channels]:
    names = [name for group in groups(of) for name in group.values]
    runner = FloatGraph(of, names)
    return observe_channels(names, (runner.run(x) for x in pictures()))


def balanced(of: Graph) -> Graph:
    return balance(of, channels(of)).graph


def weights(of: Graph) -> dict[str, Array]:
    return {n.output: n.operator.weight for n in of.nodes if isinstance(n.operator, Conv)}


def gains(before: Graph, after: Graph, name: str) -> Array:
    """Return the gains [O] of a value whose maker reads what has none."""
    ratio: Array = (weights(after)[name] / weights(before)[name]).mean(axis=(1, 2, 3))
    return ratio


def step_noise(weight: Array) -> Array:
    """Return how large the step of one scale is beside each output channel, [O]."""
    largest: Array = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    beside: Array = largest.max() / largest
    return beside


@pytest.mark.parametrize("body", [RELU6, UNREACHED, RELU])
def test_the_float_network_stays_the_same(body: str) -> None:
    before = graph(body)
    result = balance(before, channels(before))
    assert any(f"{name}: gains" in line for line in result.changed for name in ("c", "e"))
    for x in pictures():
        (expected,), (found,) = run(write_float(before), x), run(write_float(result.graph), x)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_random_networks_stay_the_same() -> None:
    balanced_ones = 0
    for seed in range(60):
        before = random_graphs.network(seed)
        names = [name for group in groups(before) for name in group.values]
        if not names:
            continue
        inputs = [normal(*before.input_shape, seed=s) for s in range(4)]
        runner = FloatGraph(before, names)
        result = balance(before, observe_channels(names, (runner.run(x) for x in inputs)))
        balanced_ones += any(not line.endswith("1.00 to 1.00") for line in result.changed)
        for x in inputs:
            expected, found = (run(write_float(of), x) for of in (before, result.graph))
            for ours, theirs in zip(found, expected, strict=True):
                limit = 1e-4 * max(np.abs(theirs).max(), 1)
                np.testing.assert_allclose(ours, theirs, atol=limit, err_msg=f"seed {seed}")
    assert balanced_ones > 10


def test_another_gain_breaks_it() -> None:
    before = graph(RELU6)
    after = balanced(before)
    broken = after.with_nodes(
        before.producers[node.output] if node.output == "f" else node for node in after.nodes
    )
    (expected,), (found,) = (run(write_float(of), pictures()[0]) for of in (before, broken))
    assert np.abs(found - expected).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("body", [RELU6, RELU])
def test_weights_of_a_layer_come_nearer_to_each_other(body: str) -> None:
    before = graph(body)
    after = balanced(before)
    found = [np.median(step_noise(weights(of)["e"])) for of in (before, after)]
    assert found[1] < 0.5 * found[0]


def test_a_channel_that_reaches_its_clamp_stays_as_it_is() -> None:
    sizes = f32([0.2, 0.2, 0.5, 1, 3, 6]).reshape(6, 1, 1, 1)
    before = graph(
        "a = Conv(x, one) c = Clip(a, zero, six) d = Conv<group=6>(c, two) y = Conv(d, down)",
        one=normal(6, 3, 1, 1, spread=0.5) * sizes,
        two=normal(6, 1, 3, 3, seed=2) / sizes[::-1],
        down=normal(3, 6, 1, 1),
    )
    old, new = channels(before)["c"], channels(balanced(before))["c"]
    near = old.high == 6
    assert 0 < near.sum() < 6
    np.testing.assert_allclose(new.high[near], 6, rtol=1e-5)
    assert np.abs(np.log(new.high / old.high)).max() > 0.5
    assert (new.high[~near] < 6).all()


def test_values_far_beyond_what_was_seen_meet_the_clamp_elsewhere() -> None:
    one: Constants = {"u": f32([[[[1.0]]], [[[0.1]]]]), "d": f32([[[[0.05]]], [[[5.0]]]])}
    body = "a = Conv(x, u) b = Clip(a, zero, six) c = Conv<group=2>(b, d) y = Conv(c, k)"
    model = build(body, "float[1,1,2,2]", k=normal(2, 2, 1, 1), **CONSTANTS, **one)
    before = run_passes(imported(model))[0]
    names = [name for group in groups(before) for name in group.values]
    runner = FloatGraph(before, names)
    seen = observe_channels(names, [runner.run(f32([[[[0, 5], [4, 3]]]]))])
    after = balance(before, seen).graph
    gain = gains(before, after, "b")
    assert gain[0] == 1
    assert gain[1] > 2
    # At the limit, and over it.
    mean = np.sqrt(seen["b"].variance[1] / (2 * 0.75))
    limit = (seen["b"].high[1] + TAIL * mean) / 0.1
    for value, is_same in ((limit, True), (6 / 0.1 / gain[1] * 1.1, False)):
        x = np.full((1, 1, 2, 2), value, np.float32)
        (expected,), (found,) = run(write_float(before), x), run(write_float(after), x)
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-5) == is_same


def noise(of: Graph, seen: Mapping[str, Channels], log_gain: Array) -> float:
    """Return the noise of two layers with gains between them, by its definition, with maxima."""
    b = seen["b"]
    first, second = weights(of)["b"][:, :, 0, 0], weights(of)["y"][:, :, 0, 0]
    gain = np.exp(log_gain)
    made = np.abs(first * gain[:, None]).max() ** 2 * np.sum(b.active / gain**2) * len(first[0])
    read = np.abs(second / gain).max() ** 2 * np.sum((b.variance + 0.1 * b.mean**2) * gain**2)
    rounded = (np.max(b.high * gain) * 127 / 255) ** 2 * np.sum(b.active / gain**2)
    # Of inputs that nobody observed: as a share of what equal ones would make.
    signal_read = np.sum(second.astype(np.float64) ** 2 * (b.variance + 0.1 * b.mean**2))
    return float(
        made / np.sum(first.astype(np.float64) ** 2)
        + read * len(second) / signal_read
        + rounded / b.variance.sum()
    )


def test_no_other_gains_have_much_less_noise() -> None:
    sizes = f32([0.1, 1, 4]).reshape(3, 1, 1, 1)
    constants: Constants = {"u": normal(3, 3, 1, 1) * sizes, "k": normal(4, 3, 1, 1, seed=3)}
    body = "a = Conv(x, u) b = Relu(a) y = Conv(b, k)"
    before = run_passes(imported(build(body, **constants)))[0]
    seen = channels(before)
    log = np.log(gains(before, balance(before, seen).graph, "b"))
    found = noise(before, seen, log)
    assert found < 0.7 * noise(before, seen, np.zeros(3))
    # All gains but a common factor, which changes nothing.
    grid = np.linspace(-2.5, 2.5, 61)
    best = min(noise(before, seen, np.array([0, p, q])) for p in grid for q in grid)
    assert found < 1.1 * best


def test_more_steps_lead_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    deep, up = (CONSTANTS[k] * np.sqrt(f) for k, f in (("deep", 1 / SIZES), ("up", SIZES)))
    before = graph(RELU, deep=deep, up=up)
    reach = {}
    for steps in (0, balance_module.STEPS, 10 * balance_module.STEPS):
        monkeypatch.setattr(balance_module, "STEPS", steps)
        reach[steps] = channels(balanced(before))["c"].high
    start, found, end = (values[values > 0] for values in reach.values())
    assert np.abs(np.log(end / start)).max() > 1
    assert np.abs(np.log(end / found)).max() < 0.1


def test_gains_are_bounded_and_dead_channels_do_no_harm() -> None:
    up = normal(12, 6, 1, 1, seed=1)
    up[0] = 0
    up[1] *= 1e-12
    up[2] *= 1e6
    before = graph(RELU6, up=up)
    after = balanced(before)
    assert all(np.isfinite(weight).all() for weight in weights(after).values())
    made = [channels(of)["c"].high for of in (before, after)]
    alive = made[0] > 1e-9
    assert made[1][0] == 0
    assert (made[1][alive] <= made[0][alive] * MOST_GAIN * 1.001).all()


def test_what_carries_nothing_is_left_as_it_is() -> None:
    before = graph("a = Conv(x, stem) y = Conv(a, last)", stem=np.zeros_like(CONSTANTS["stem"]))
    result = balance(before, channels(before)) if groups(before) else None
    if result is not None:
        assert all(np.isfinite(weight).all() for weight in weights(result.graph).values())
