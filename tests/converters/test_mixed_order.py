from itertools import combinations

import numpy as np
import pytest

from calibration.progress import silent
from converters.error_trace import trace_errors
from converters.graph import Graph
from converters.mixed_order import STEP_DB, VALUE_COST, Names, Order, Parts, parts_of
from tests.converters.artifacts import make
from tests.converters.models import build, imported, normal

# Two branches that meet, and a pool that copies.
BODY = (
    "a = Conv(x, w) b = Conv(a, u) c = Conv(a, u) d = Add(b, c) "
    "m = MaxPool<kernel_shape=[2,2]>(d) e = Conv(m, u) y = GlobalAveragePool(e)"
)
# What is rounded where, by who makes it; who must be float for it not to be; the pool is a copy.
AROUND = {"a": "abc", "b": "bd", "c": "cd", "d": "de", "e": "ey"}
SIZES = {"x": 192, "a": 256, "b": 256, "c": 256, "d": 256, "e": 196, "y": 4}
ADDS = {"a": 64 * 12, "b": 64 * 16, "c": 64 * 16, "d": 0, "e": 49 * 16, "y": 0}


def graph() -> Graph:
    return imported(build(BODY, w=normal(4, 3, 1, 1), u=normal(4, 4, 1, 1)))


def order(own: dict[str, float], values: dict[str, float]) -> Order:
    """Return the order for parts by the values that the nodes make."""
    of = graph()
    return Order(of, Parts({of.producers[v].name: n for v, n in own.items()}, values))


def outputs(of: Order, chosen: Names) -> str:
    """Return what the chosen nodes make."""
    return "".join(node.output for node in of.nodes if node.name in chosen)


def names(of: Order, values: str) -> Names:
    return frozenset(node.name for node in of.nodes if node.output in values)


def left(own: dict[str, float], values: dict[str, float], chosen: str) -> float:
    """Return the noise that is left, by the definition."""
    weights = sum(noise for value, noise in own.items() if value not in chosen)
    # What the artifact gives stays rounded.
    return weights + sum(
        noise
        for value, noise in values.items()
        if value == "y" or not set(AROUND[value]) <= set(chosen)
    )


def random_parts(seed: int) -> tuple[dict[str, float], dict[str, float]]:
    noise = np.exp(np.random.default_rng(seed).normal(0, 2, 10))
    return dict(zip("abce", noise, strict=False)), dict(zip("abcdey", noise[4:], strict=False))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left(seed: int) -> None:
    own, values = random_parts(seed)
    of = order(own, values)
    for count in range(7):
        for some in combinations("abcdey", count):
            expected = left(own, values, "".join(some))
            assert of.left(names(of, "".join(some))) == pytest.approx(expected)


def test_a_segment_is_converted_at_its_ends_alone() -> None:
    of = order({}, {})
    pooled = 4 * 49
    touched = {
        "a": 192 + 256,
        "b": 512,
        "c": 512,
        "d": 3 * 256,
        "e": pooled + 196,
        "y": 196 + 4,
    }

    def cost(chosen: str, converted: str) -> int:
        work = sum(ADDS[v] + VALUE_COST * touched[v] for v in chosen)
        return work + VALUE_COST * sum(SIZES[v] for v in converted)

    for chosen, converted in {
        "": "",
        "a": "xa",
        "b": "ab",
        "ab": "xab",
        "bcd": "ad",
        "de": "bce",
        "abcdey": "xy",
    }.items():
        assert of.cost(names(of, chosen)) == cost(chosen, converted), chosen


def test_a_layer_with_all_the_noise_is_float_alone() -> None:
    of = order({"a": 1e-3, "b": 1e-3, "c": 1.0, "e": 1e-3}, dict.fromkeys("abcdey", 1e-3))
    choices = [outputs(of, chosen) for chosen in of.choices()]
    assert choices[0] == "c"
    assert all("c" in chosen for chosen in choices)


def test_a_value_with_all_the_noise_has_its_maker_and_readers_float() -> None:
    of = order(dict.fromkeys("abce", 1e-3), {"a": 1.0, "d": 1e-3, "y": 1e-3})
    assert outputs(of, of.choices()[0]) == "abc"
    of = order(dict.fromkeys("abce", 1e-3), {"a": 1e-3, "d": 1.0, "y": 1e-3})
    assert outputs(of, of.choices()[0]) == "de"


@pytest.mark.parametrize("seed", range(20))
def test_each_choice_reaches_its_noise_and_nothing_of_it_is_superfluous(seed: int) -> None:
    own, values = random_parts(seed)
    of = order(own, values)
    everything = of.left(frozenset())
    choices = of.choices()
    assert len(set(choices)) == len(choices)
    assert of.everything not in choices
    for chosen in choices:
        # It was made for the least noise, by whole steps, that it reaches.
        steps = int(np.floor(10 * np.log10(everything / of.left(chosen)) / STEP_DB + 1e-9))
        assert steps >= 1
        noise = everything * 10 ** (-STEP_DB * steps / 10)
        assert all(of.left(chosen - {name}) > noise for name in chosen)
        # The cheapest of all that reach it is not much cheaper.
        costs = [
            of.cost(names(of, "".join(some)))
            for count in range(7)
            for some in combinations("abcdey", count)
            if left(own, values, "".join(some)) <= noise
        ]
        assert of.cost(chosen) <= 2 * min(costs)
    lefts = [of.left(chosen) for chosen in choices]
    assert lefts == sorted(lefts, reverse=True)


def test_without_noise_there_is_nothing_to_choose() -> None:
    assert order({}, {}).choices() == ()
    # The scores are rounded for whoever calls the file, whatever is float.
    assert order({}, {"y": 1.0}).choices() == ()


def test_each_part_goes_to_whoever_must_be_float_for_it() -> None:
    body = (
        "a = Conv(x, w) s = Sigmoid(a) m = Concat<axis=1>(s, a) p = GlobalAveragePool(m) "
        "f = Flatten(p) t = Add(s, s) q = GlobalAveragePool(t) g = Flatten(q) "
        "y = Concat<axis=1>(f, g)"
    )
    made = make(body, w=normal(4, 3, 1, 1, spread=20.0)).quantized
    of = made.graph
    traced = trace_errors(made, [normal(1, 3, 8, 8, seed=seed) for seed in range(2)], silent)
    parts = parts_of(of, traced)
    between = {node.output for node in of.nodes if node.kind == "Requantize"}
    assert between
    noise = {one.node.output: one for one in traced}
    for value in between:
        (reader,) = of.consumers[value]
        assert parts.own[reader.name] == noise[value].by_output > 0
    assert parts.own[of.producers["a"].name] == noise["a"].by_weights > 0
    assert parts.values == {v: one.by_output for v, one in noise.items() if v not in between}
    assert parts.values["x"] > 0
    # The picture's rounding, and that of the scores, stay whatever is float.
    order = Order(of, parts)
    stays = sum(parts.values[value] for value in ("x", *of.outputs))
    assert order.left(order.everything) == pytest.approx(stays)
