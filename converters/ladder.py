"""From plain rounding to what loses least: each rung is kept only if it helps.

What helps is seen on calibration pictures that the rungs did not learn from: the scores of the
quantized network, in its own integers, against those of the float one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from calibration.channels import ChannelEnds, observe_channels
from calibration.images import even_steps
from calibration.observers import RangeTable
from converters.calibrate import FloatGraph
from converters.graph import Graph, PassResult
from converters.judge import Judge
from converters.quantize.assign import assign
from converters.quantize.balance import balance
from converters.quantize.equalize import equalize, groups
from converters.quantize.exact_sums import exact_sums
from converters.quantize.fill import fill
from converters.quantize.params import QuantParams
from converters.quantize.quantized import QuantizedGraph
from converters.refine import Steps, refine
from converters.request import Level
from edge.tensors import F32

# Pictures to learn from and to judge by. (Judged by 16, a MobileNetV2 that came nearer by 0.6 dB
# was within what chance explains in two sets of three, by 32 in none. Twice as many to learn from
# are worth 0.1 dB.)
PICTURES: dict[Level, int] = {"none": 0, "fast": 96, "best": 128}
JUDGED = 32
# Where several ways are compared, each learns from so many first, and only the best one from all.
COMPARED = 32
# Ranges that cut nothing off are judged by pictures of which, for once, they have seen all.
WIDEST_ERRORS = 2
# Fewer tell chance from gain too seldom.
LEAST_PICTURES = 16
PLAIN = "ranges alone"
WIDEST = "ranges alone, nothing cut off"
# As a depthwise convolution's: to round so few weights together takes next to no time.
SMALL_KERNEL = 32


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to the plain network, beside what helps whoever does it.

    `then`: what may be done beyond it, where that takes long.
    """

    name: str
    steps: Steps
    equalized: bool = False
    then: Recipe | None = None


ROUNDED = Recipe("weights rounded in second order, biases corrected", Steps())
BIASES = Recipe("biases corrected", Steps(rounding=False), then=ROUNDED)
ALL = Recipe(
    "channels equalized, weights rounded in second order, biases corrected", Steps(), equalized=True
)
EQUALIZED = Recipe(
    "channels equalized, biases corrected", Steps(rounding=False), equalized=True, then=ALL
)
BALANCED_ALL = Recipe(
    "weights balanced and rounded in second order, biases corrected", Steps(), equalized=True
)
BALANCED = Recipe(
    "weights balanced, small kernels rounded in second order, biases corrected",
    Steps(most_inputs=SMALL_KERNEL),
    equalized=True,
    then=BALANCED_ALL,
)
# `fast` tries what wins most in the least time: to equalize means to calibrate again. `best` goes
# on from the best of these.
RECIPES: dict[Level, tuple[Recipe, ...]] = {
    "none": (),
    "fast": (BIASES,),
    "best": (BIASES, EQUALIZED),
}
# With one scale for all weights of a layer; where nothing can be balanced, those above.
PER_TENSOR: dict[Level, tuple[Recipe, ...]] = {
    "none": (),
    "fast": (BALANCED,),
    "best": (BIASES, BALANCED),
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
    filled: tuple[str, ...] = ()  # ranges that their channels fill, with their gains
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

    `ends`: of the channels that may fill their ranges; `measure` gives the ranges of another Graph
    over the calibration pictures, by the rule of some RangeTable; `pictures`: float32 [1, C, H, W]
    each, some of those; `per_tensor`: whether all weights of a node have one scale; `widest`: the
    ranges that cut nothing off, where those may be taken for `ranges`.
    """

    graph: Graph
    input_params: QuantParams
    ranges: RangeTable
    ends: Mapping[str, ChannelEnds]
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
        """The pictures to learn from."""
        judged = set(self._judged)
        return [x for place, x in enumerate(self.pictures) if place not in judged]

    @property
    def judged(self) -> Sequence[F32]:
        """The pictures to judge by, which are others: JUDGED, or half of what there is."""
        return [self.pictures[place] for place in self._judged]

    @property
    def _judged(self) -> list[int]:
        return even_steps(len(self.pictures), min(JUDGED, len(self.pictures) // 2))


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
        if found[WIDEST].is_better_than(found[PLAIN], WIDEST_ERRORS):
            best, kept = wide, WIDEST
    measured = best.ranges
    exact = _ranged(ground, ground.graph, measured)
    some_equal = any(recipe.equalized for recipe in recipes)
    equal = _equalized(ground, measured) if some_equal else exact
    learned = ground.learned
    few = learned
    if level == "best":
        few = [learned[i] for i in even_steps(len(learned), COMPARED)]

    def tried(recipe: Recipe) -> float:
        """Judge a recipe, keep it where it is better, and return its SQNR in dB."""
        nonlocal best, kept
        start = equal if recipe.equalized else exact
        made = _refined(replace(start, before=start.quantized, steps=recipe.steps), few)
        name = _words(made, recipe)
        found[name] = judge(made.quantized)
        if found[name].is_better_than(found[kept]):
            best, kept = made, name
        return found[name].sqnr_db

    leader = max(recipes, key=tried)
    if level == "best" and leader.then is not None:
        tried(leader.then)
    if best.steps is not None and len(few) < len(learned):
        best = _refined(best, learned)
        found[kept] = judge(best.quantized)
    rungs = tuple(Rung(name, verdict.sqnr_db, name == kept) for name, verdict in found.items())
    return replace(best, rungs=rungs, pictures=len(ground.judged))


def _refined(start: Climb, pictures: Sequence[F32]) -> Climb:
    """Return the network before `start`'s steps with those done, as learned from `pictures`."""
    assert start.before is not None  # noqa: S101 (the callers set both)
    assert start.steps is not None  # noqa: S101
    return replace(start, quantized=refine(start.before, pictures, start.steps))


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
    """Return a network rounded to nearest, its sums exact and ranges filled where that helps."""
    ranges, exact = exact_sums(graph, measured)
    # With one scale for all weights of a layer, gains are not for nothing.
    full = PassResult(graph) if ground.per_tensor else fill(graph, ranges, ground.ends)
    return Climb(ground.assign(full.graph, ranges), ranges, exact=exact, filled=full.changed)


def _words(made: Climb, recipe: Recipe) -> str:
    """Return what was done to the plain network, in words."""
    done = {"sums exact": made.exact, "ranges filled": made.filled}
    return ", ".join([*(f"{len(on)} {what}" for what, on in done.items() if on), recipe.name])
