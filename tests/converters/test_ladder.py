from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from calibration.channels import Channels
from calibration.observers import Range, RangeTable
from converters import ladder
from converters.calibrate import calibrate
from converters.graph import Graph, PassResult
from converters.judge import Judge
from converters.ladder import (
    LEAST_PICTURES,
    PER_TENSOR,
    PLAIN,
    RECIPES,
    WIDEST,
    Ground,
    climb,
)
from converters.passes import run_passes
from converters.quantize.balance import balance
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph
from converters.refine import Steps, refine
from converters.request import LEVELS, Level
from edge.tensors import F32
from tests.converters.models import Constants, build, f32, imported, normal

# Channels of very different size that matter alike.
SIZES = np.exp(normal(8, 1, 1, 1, seed=2, spread=2))
CONSTANTS: Constants = {
    "w": normal(8, 3, 3, 3),
    "v": normal(8, 8, 1, 1, seed=1) * SIZES,
    "u": normal(4, 8, 3, 3, seed=3) / SIZES.reshape(1, 8, 1, 1),
}
BODY = "a = Conv(x, w) b = Relu(a) c = Conv(b, v) d = Conv(c, u) y = GlobalAveragePool(d)"


def images(count: int) -> list[F32]:
    return [normal(1, 3, 8, 8, seed=s) for s in range(count)]


def ranges(graph: Graph, like: RangeTable | None = None) -> RangeTable:
    return calibrate(graph, images(32)).ranges(like.observer if like else "mse")


@pytest.fixture(scope="module")
def ground() -> Ground:
    graph, _ = run_passes(imported(build(BODY, **CONSTANTS)))
    return Ground(graph, from_range(-3.0, 3.0), ranges(graph), {}, ranges, images(32))


def spoiled(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the network with one layer's integers turned round."""
    name, old = next(iter(quantized.weights.items()))
    turned = {**quantized.weights, name: replace(old, weight=old.weight[::-1])}
    return QuantizedGraph(quantized.graph, quantized.activations, turned)


def same(quantized: QuantizedGraph, *_: object) -> QuantizedGraph:
    return quantized


def worse(quantized: QuantizedGraph, *_: object) -> QuantizedGraph:
    return spoiled(quantized)


@pytest.mark.parametrize("level", LEVELS)
def test_one_rung_is_kept_and_it_is_no_worse_than_the_first(ground: Ground, level: Level) -> None:
    reached = climb(ground, level)
    if level == "none":
        assert reached.rungs == ()
        assert reached.kept == PLAIN
        return
    assert reached.rungs[0].name == PLAIN
    kept = [rung for rung in reached.rungs if rung.kept]
    assert [rung.name for rung in kept] == [reached.kept]
    assert kept[0].sqnr_db >= reached.rungs[0].sqnr_db
    assert reached.pictures == 16


@pytest.mark.parametrize("level", ["fast", "best"])
def test_every_recipe_of_a_level_is_tried(ground: Ground, level: Level) -> None:
    rungs = climb(ground, level).rungs
    expected = [recipe.name for recipe in RECIPES[level]]
    if level == "best":
        expected.append(ladder.ALL.name)  # of those, the best is that with equal channels
    assert [rung.name for rung in rungs] == [PLAIN, *expected]


def test_where_nothing_can_be_equalized_it_is_not_tried(ground: Ground) -> None:
    body = "a = Conv(x, w) y = GlobalAveragePool(a)"
    graph, _ = run_passes(imported(build(body, w=normal(8, 3, 3, 3))))
    rungs = climb(replace(ground, graph=graph, ranges=ranges(graph)), "best").rungs
    assert [rung.name for rung in rungs] == [PLAIN, ladder.BIASES.name, ladder.ROUNDED.name]


def test_channels_are_equalized_once(ground: Ground) -> None:
    measured = []

    def noted(graph: Graph, like: RangeTable) -> RangeTable:
        measured.append(graph)
        return ranges(graph, like)

    climb(replace(ground, measure=noted), "best")
    assert len(measured) == 1


def test_best_is_better_than_fast_where_channels_differ(ground: Ground) -> None:
    best, fast = climb(ground, "best"), climb(ground, "fast")
    found = [{r.kept: r.sqnr_db for r in reached.rungs}[True] for reached in (best, fast)]
    assert best.equalized
    assert found[0] > found[1] + 3


@pytest.mark.parametrize("level", ["fast", "best"])
def test_what_does_harm_is_not_kept(
    ground: Ground, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "refine", worse)
    reached = climb(ground, level)
    assert reached.kept == PLAIN
    assert len(reached.rungs) == {"fast": 2, "best": 4}[level]
    assert reached.equalized == ()
    assert reached.ranges is ground.ranges


def test_only_the_best_way_learns_from_all_pictures(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "COMPARED", 5)
    learned = []

    def noted(quantized: QuantizedGraph, pictures: Sequence[F32], steps: Steps) -> QuantizedGraph:
        learned.append((len(pictures), steps))
        return refine(quantized, pictures, steps)

    monkeypatch.setattr(ladder, "refine", noted)
    reached = climb(ground, "best")
    assert reached.kept == ladder.ALL.name
    few = [ladder.BIASES, ladder.EQUALIZED, ladder.ALL]
    assert learned == [*((5, recipe.steps) for recipe in few), (16, ladder.ALL.steps)]
    learned.clear()
    climb(ground, "fast")
    assert learned == [(16, ladder.BIASES.steps)]


def test_what_is_no_better_is_not_kept(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "refine", same)
    assert climb(ground, "fast").kept == PLAIN


def test_pictures_to_learn_from_and_to_judge_by_are_others(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[F32] = []

    def noted(quantized: QuantizedGraph, pictures: Sequence[F32], _: Steps) -> QuantizedGraph:
        learned.extend(pictures)
        return quantized

    judged: list[F32] = []

    class Noted(Judge):
        def __init__(self, graph: Graph, pictures: Sequence[F32]) -> None:
            judged.extend(pictures)
            super().__init__(graph, pictures)

    monkeypatch.setattr(ladder, "refine", noted)
    monkeypatch.setattr(ladder, "Judge", Noted)
    climb(ground, "fast")
    assert learned
    assert judged
    assert not {x.tobytes() for x in learned} & {x.tobytes() for x in judged}


@pytest.fixture(scope="module")
def easy() -> Ground:
    """A network that int8 costs little, and the ranges that cut nothing off."""
    even: Constants = {"w": normal(8, 3, 3, 3), "v": normal(6, 8, 1, 1, seed=1)}
    body = "a = Conv(x, w) b = Conv(a, v) y = GlobalAveragePool(b)"
    graph, _ = run_passes(imported(build(body, **even)))
    wide = calibrate(graph, images(32)).ranges("minmax")
    return Ground(graph, from_range(-3.0, 3.0), ranges(graph), {}, ranges, images(32), widest=wide)


def scaled(table: RangeTable, by: float) -> RangeTable:
    reaches = {name: Range(one.low * by, one.high * by) for name, one in table.items()}
    return replace(table, ranges=reaches)


@pytest.mark.parametrize("level", ["fast", "best"])
@pytest.mark.parametrize(("narrow", "wide", "kept"), [(0.3, 1.0, WIDEST), (1.0, 4.0, PLAIN)])
def test_ranges_that_cut_off_too_much_are_not_kept(
    easy: Ground,
    level: Level,
    narrow: float,
    wide: float,
    kept: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ladder, "refine", worse)
    assert easy.widest is not None
    ranges, widest = scaled(easy.ranges, narrow), scaled(easy.widest, wide)
    reached = climb(replace(easy, ranges=ranges, widest=widest), level)
    assert reached.kept == kept
    assert [rung.name for rung in reached.rungs][:2] == [PLAIN, WIDEST]
    assert reached.ranges is (widest if kept == WIDEST else ranges)


def test_what_is_built_on_ranges_is_built_on_those_that_are_better(easy: Ground) -> None:
    asked = []

    def noted(graph: Graph, like: RangeTable) -> RangeTable:
        asked.append(like)
        return ranges(graph, like)

    climb(replace(easy, ranges=scaled(easy.ranges, 0.3), measure=noted), "best")
    assert asked == [easy.widest]


def test_too_few_pictures_are_not_climbed_on(ground: Ground) -> None:
    few = replace(ground, pictures=ground.pictures[: LEAST_PICTURES - 1])
    assert climb(few, "best").rungs == ()
    enough = replace(ground, pictures=ground.pictures[:LEAST_PICTURES])
    assert climb(enough, "fast").rungs


def test_ranges_are_those_of_what_was_kept(ground: Ground) -> None:
    reached = climb(ground, "best")
    assert reached.equalized
    assert reached.ranges["c"] != ground.ranges["c"]


# What a depthwise convolution's channels are multiplied by is made up for behind it.
SPREAD = np.exp(normal(16, 1, 1, 1, seed=2, spread=2))
ONE_SCALE: Constants = {
    "w": normal(16, 3, 3, 3),
    "d": normal(16, 1, 3, 3, seed=1) * SPREAD,
    "v": normal(8, 16, 1, 1, seed=3) / SPREAD.reshape(1, 16, 1, 1),
    "u": normal(4, 8, 3, 3, seed=4),
    "zero": f32(0),
    "six": f32(6),
}
DEPTHWISE = (
    "a = Conv(x, w) b = Clip(a, zero, six) c = Conv<group=16>(b, d) r = Relu(c) e = Conv(r, v) "
    "f = Conv(e, u) y = GlobalAveragePool(f)"
)


@pytest.fixture(scope="module")
def one_scale() -> Ground:
    graph, _ = run_passes(imported(build(DEPTHWISE, **ONE_SCALE)))
    return Ground(
        graph, from_range(-3.0, 3.0), ranges(graph), {}, ranges, images(32), per_tensor=True
    )


@pytest.mark.parametrize("level", ["fast", "best"])
def test_what_one_scale_loses_is_won_back(one_scale: Ground, level: Level) -> None:
    reached = climb(one_scale, level)
    found = {rung.name: rung.sqnr_db for rung in reached.rungs}
    expected = [recipe.name for recipe in PER_TENSOR[level]]
    if level == "best":
        expected.append(ladder.BALANCED_ALL.name)
    assert list(found) == [PLAIN, *expected]
    assert found[PLAIN] < 10  # most channels are a few steps
    assert found[reached.kept] > 25
    for weights in reached.quantized.weights.values():
        assert weights.params.axis is None
        assert len(weights.params.scale) == 1


def test_what_is_balanced_wrongly_is_not_kept(
    one_scale: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(graph: Graph, channels: Mapping[str, Channels]) -> PassResult:
        result = balance(graph, channels)
        nodes = (graph.producers["e"] if n.output == "e" else n for n in result.graph.nodes)
        return replace(result, graph=graph.with_nodes(nodes))

    monkeypatch.setattr(ladder, "balance", broken)
    reached = climb(one_scale, "fast")
    assert reached.kept == PLAIN
    assert reached.rungs[1].sqnr_db < reached.rungs[0].sqnr_db


def test_where_nothing_can_be_balanced_biases_are_corrected_all_the_same(
    one_scale: Ground,
) -> None:
    body = "a = Conv(x, w) y = GlobalAveragePool(a)"
    graph, _ = run_passes(imported(build(body, w=normal(8, 3, 3, 3))))
    reached = climb(replace(one_scale, graph=graph, ranges=ranges(graph)), "fast")
    assert [rung.name for rung in reached.rungs] == [PLAIN, ladder.BIASES.name]
    assert all(weights.params.axis is None for weights in reached.quantized.weights.values())
