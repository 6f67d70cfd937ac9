"""From plain rounding to what loses least: each rung is kept only if it helps.

What helps is seen on calibration pictures that the rungs did not learn from: the scores of the
quantized network, in its own integers, against those of the float one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from calibration.channels import observe_channels
from calibration.observers import RangeTable
from converters.calibrate import FloatGraph
from converters.graph import Graph
from converters.judge import Judge
from converters.quantize.assign import assign
from converters.quantize.balance import balance
from converters.quantize.equalize import equalize, groups
from converters.quantize.exact_sums import exact_sums
from converters.quantize.params import QuantParams
from converters.quantize.quantized import QuantizedGraph
from converters.refine import Steps, refine
from converters.request import Level
from edge.tensors import F32

# Pictures to learn from and to judge by, half of them each. (Judged by 16, a MobileNetV2 that came
# nearer by 0.6 dB was within what chance explains in two sets of three, by 32 in none.)
PICTURES: dict[Level, int] = {"none": 0, "fast": 64, "best": 128}
# Fewer tell chance from gain too seldom.
LEAST_PICTURES = 16
PLAIN = "ranges alone"
WIDEST = "ranges alone, nothing cut off"
# As a depthwise convolution's: to round so few weights together takes next to no time.
SMALL_KERNEL = 32


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to the plain network, beside sums that are made exact where that helps."""

    name: str
    steps: Steps
    equalized: bool = False


BIASES = Recipe("biases corrected", Steps(rounding=False))
EQUALIZED = Recipe("channels equalized, biases corrected", Steps(rounding=False), equalized=True)
ROUNDED = Recipe("weights rounded in second order, biases corrected", Steps())
ALL = Recipe(
    "channels equalized, weights rounded in second order, biases corrected", Steps(), equalized=True
)
BALANCED = Recipe(
    "weights balanced, small kernels rounded in second order, biases corrected",
    Steps(most_inputs=SMALL_KERNEL),
    equalized=True,
)
BALANCED_ALL = Recipe(
    "weights balanced and rounded in second order, biases corrected", Steps(), equalized=True
)
# `fast` tries what wins most in the least time: to equalize means to calibrate again.
RECIPES: dict[Level, tuple[Recipe, ...]] = {
    "none": (),
    "fast": (BIASES,),
    "best": (BIASES, EQUALIZED, ROUNDED, ALL),
}
# With one scale for all weights of a layer; where nothing can be balanced, those above.
PER_TENSOR: dict[Level, tuple[Recipe, ...]] = {
    "none": (),
    "fast": (BALANCED,),
    "best": (BIASES, BALANCED, ROUNDED, BALANCED_ALL),
}


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to quantize, how far its scores are from float's on pictures new to it, in dB."""

    name: str
    sqnr_db: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Climb:
    """Where it led. `ranges` are those of `quantized`; `pictures` were judged by, 0 for none.

    `before`: the network before it was refined by `steps`; both None where it was not.
    """

    quantized: QuantizedGraph
    ranges: RangeTable
    rungs: tuple[Rung, ...] = ()
    pictures: int = 0
    exact: tuple[str, ...] = ()  # sums that round nothing
    equalized: tuple[str, ...] = ()  # what was done to the channels
    before: QuantizedGraph | None = None
    steps: Steps | None = None

    @property
    def kept(self) -> str:
        """What was done to the plain network, in words."""
        return next((rung.name for rung in self.rungs if rung.kept), PLAIN)


@dataclass(frozen=True, slots=True)
class Ground:
    """What every rung stands on.

    `measure` gives the ranges of another Graph over the calibration pictures, by the rule of some
    RangeTable; `pictures`: float32 [1, C, H, W] each, some of those; `per_tensor`: whether all
    weights of a node have one scale; `widest`: the ranges that cut nothing off, where those may be
    taken for `ranges`.
    """

    graph: Graph
    input_params: QuantParams
    ranges: RangeTable
    measure: Callable[[Graph, RangeTable], RangeTable]
    pictures: Sequence[F32]
    per_tensor: bool = False
    widest: RangeTable | None = None

    def recipes(self, level: Level) -> tuple[Recipe, ...]:
        """Return what is to be tried, but for what finds nothing to do."""
        may_equalize = bool(groups(self.graph))
        recipes = PER_TENSOR if self.per_tensor and may_equalize else RECIPES
        return tuple(r for r in recipes[level] if may_equalize or not r.equalized)

    def assign(self, graph: Graph, ranges: RangeTable) -> QuantizedGraph:
        """Return a network with these ranges, rounded to nearest."""
        return assign(graph, self.input_params, ranges, per_tensor=self.per_tensor)

    @property
    def learned(self) -> Sequence[F32]:
        """The pictures to learn from: every other one, so that all are of the same kind."""
        return self.pictures[::2]

    @property
    def judged(self) -> Sequence[F32]:
        """The pictures to judge by, which are others."""
        return self.pictures[1::2]


def climb(ground: Ground, level: Level) -> Climb:
    """Return the network in int8, as good as the rungs up to `level` make it."""
    plain = Climb(ground.assign(ground.graph, ground.ranges), ground.ranges)
    if level == "none" or len(ground.pictures) < LEAST_PICTURES:
        return plain
    judge = Judge(ground.graph, ground.judged)
    recipes = ground.recipes(level)
    best, kept = plain, PLAIN
    found = {PLAIN: judge(plain.quantized)}
    if ground.widest is not None:
        wide = Climb(ground.assign(ground.graph, ground.widest), ground.widest)
        found[WIDEST] = judge(wide.quantized)
        # The judging pictures were calibrated on: of those, these ranges cut nothing off at all.
        if found[WIDEST].is_better_than(found[PLAIN]):
            best, kept = wide, WIDEST
    measured = best.ranges
    exact = _ranged(ground, ground.graph, measured)
    some_equal = any(recipe.equalized for recipe in recipes)
    equal = _equalized(ground, measured) if some_equal else exact
    for recipe in recipes:
        start = equal if recipe.equalized else exact
        made = replace(
            start,
            quantized=refine(start.quantized, ground.learned, recipe.steps),
            before=start.quantized,
            steps=recipe.steps,
        )
        name = f"{len(made.exact)} sums exact, {recipe.name}" if made.exact else recipe.name
        found[name] = judge(made.quantized)
        if found[name].is_better_than(found[kept]):
            best, kept = made, name
    rungs = tuple(Rung(name, verdict.sqnr_db, name == kept) for name, verdict in found.items())
    return replace(best, rungs=rungs, pictures=len(ground.judged))


def _equalized(ground: Ground, like: RangeTable) -> Climb:
    """Return the network rounded to nearest, after its channels were equalized.

    Args: like: ranges by the rule that is to be taken.
    """
    names = [name for group in groups(ground.graph) for name in group.values]
    runner = FloatGraph(ground.graph, names)
    channels = observe_channels(names, (runner.run(x) for x in ground.pictures))
    equal = (balance if ground.per_tensor else equalize)(ground.graph, channels)
    made = _ranged(ground, equal.graph, ground.measure(equal.graph, like))
    return replace(made, equalized=equal.changed)


def _ranged(ground: Ground, graph: Graph, measured: RangeTable) -> Climb:
    """Return a network rounded to nearest, its sums exact where that helps."""
    ranges, exact = exact_sums(graph, measured)
    return Climb(ground.assign(graph, ranges), ranges, exact=exact)
