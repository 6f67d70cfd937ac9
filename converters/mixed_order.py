"""Which layers to keep in float: the most noise spared for the least cost first.

Each rounding of a network does its own part to the scores' noise, and to first order the parts add
up. A float node spares the rounding of its weights. A value is spared its rounding only where all
who make and read it are float, which is why these are chosen together, or one more beside those
that are float already: so segments grow, that are entered and left once. When little enough noise
is left, what has become superfluous goes again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from converters.error_trace import Traced
from converters.graph import Graph, Node
from converters.operators import Requantize, multiply_adds
from converters.quantize.keep_float import is_computing

# What float costs more than integers, in multiply-adds of float: one takes two to four times as
# long, and each value that is read, made or converted is so many bytes of memory more.
VALUE_COST = 8
# From one choice to the next.
STEP_DB = 0.5

Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class Parts:
    """The noise of each rounding at the scores.

    `own`, by node name: of its weights and bias, and of what it reads where that is brought to one
    scale; `values`, by the value that is rounded. What is in neither does nothing.
    """

    own: Mapping[str, float]
    values: Mapping[str, float]


def parts_of(graph: Graph, traced: Sequence[Traced]) -> Parts:
    """Return the parts of a network by who must be float for them not to be."""
    own: dict[str, float] = {}
    values: dict[str, float] = {}
    for one in traced:
        value = one.node.output
        if isinstance(one.node.operator, Requantize) and value not in graph.inputs:
            # What brings a value to another scale does it for one reader.
            (owner,), noise = graph.consumers[value], one.by_output
        else:
            owner, noise = one.node, one.by_weights
            values[value] = one.by_output
        own[owner.name] = own.get(owner.name, 0.0) + noise
    return Parts(own, values)


class Order:
    """Chooses among the computing nodes of a graph, by name."""

    def __init__(self, graph: Graph, parts: Parts) -> None:
        self.parts = parts
        self.nodes = tuple(node for node in graph.nodes if is_computing(node))
        self.values = _values(graph, self.nodes)
        self._costs = {node.name: _cost(graph, node) for node in self.nodes}
        self._beside: dict[str, list[_Value]] = {node.name: [] for node in self.nodes}
        for value in self.values:
            for name in value.around:
                self._beside[name].append(value)

    @property
    def everything(self) -> Names:
        return frozenset(self._costs)

    def choices(self) -> tuple[Names, ...]:
        """Return what may be float for ever less noise, each STEP_DB less, short of everything."""
        grown = self._grown()
        lefts = [self.left(chosen) for chosen in grown]
        found: list[Names] = []
        noise = lefts[0]
        while noise > lefts[-1]:
            noise *= 10 ** (-STEP_DB / 10)
            enough = (one for one, left in zip(grown, lefts, strict=True) if left <= noise)
            chosen = self._pruned(next(enough, self.everything), noise)
            if chosen == self.everything:
                break
            if chosen not in found:
                found.append(chosen)
        return tuple(found)

    def _grown(self) -> list[Names]:
        """Return ever larger choices, each by the step that spares the most for its cost."""
        steps = [frozenset((name,)) for name, noise in self.parts.own.items() if noise]
        steps += [v.around for v in self.values if self.parts.values.get(v.name) and v.may_be_float]
        grown: list[Names] = [frozenset()]
        while steps:
            before = grown[-1]
            grown.append(before | max(steps, key=lambda step: self._worth(before, before | step)))
            steps = [step for step in steps if step - grown[-1]]
        return grown

    def _pruned(self, chosen: Names, noise: float) -> Names:
        """Return the choice without what it takes no longer to leave no more than `noise`.

        What is cheap comes early, and may be nothing beside what comes later.
        """
        whole = chosen
        for name in sorted(whole, key=lambda name: (self._worth(whole - {name}, whole), name)):
            if self.left(chosen - {name}) <= noise:
                chosen -= {name}
        return chosen

    def left(self, chosen: Names) -> float:
        """Return the noise of what is rounded although the nodes `chosen` are float."""
        weights = sum(part for name, part in self.parts.own.items() if name not in chosen)
        return weights + sum(
            self.parts.values.get(value.name, 0.0)
            for value in self.values
            if not value.is_float(chosen)
        )

    def cost(self, chosen: Names) -> float:
        """Return what float costs more than integers, in multiply-adds."""
        conversions = sum(value.conversions(chosen) for value in self.values)
        return sum(self._costs[name] for name in chosen) + conversions

    def _worth(self, before: Names, after: Names) -> float:
        """Return the noise spared for each multiply-add, from one choice to a larger one."""
        new = sorted(after - before)
        beside = {id(value): value for name in new for value in self._beside[name]}.values()
        spared = sum(self.parts.own.get(name, 0.0) for name in new)
        cost = sum(self._costs[name] for name in new)
        for value in beside:
            if value.is_float(after) and not value.is_float(before):
                spared += self.parts.values.get(value.name, 0.0)
            cost += value.conversions(after) - value.conversions(before)
        return spared / max(cost, 1.0)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value, its maker (none of a graph's input) and who computes with it or a copy of it."""

    name: str
    size: int
    maker: Names
    readers: Names
    is_given_out: bool
    around: Names = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "around", self.maker | self.readers)

    @property
    def may_be_float(self) -> bool:
        """Whether it need not be integers for whoever calls the file."""
        return bool(self.maker) and not self.is_given_out

    def is_float(self, chosen: Names) -> bool:
        """Whether nobody rounds it."""
        return self.may_be_float and self.around <= chosen

    def conversions(self, chosen: Names) -> int:
        """Return what it costs to convert it."""
        is_made_float = bool(self.maker) and self.maker <= chosen
        if is_made_float:
            is_converted = self.is_given_out or not self.readers <= chosen
        else:
            is_converted = not self.readers.isdisjoint(chosen)
        return VALUE_COST * self.size * is_converted


def _values(graph: Graph, nodes: tuple[Node, ...]) -> tuple[_Value, ...]:
    """Return what the nodes make and the graph is given; copies are the value that they copy."""
    computing = {node.name for node in nodes}
    root = {name: name for name in graph.inputs}
    readers: dict[str, set[str]] = {}
    given_out = set()
    for node in graph.nodes:
        is_copy = node.name not in computing and bool(node.inputs)
        root[node.output] = root[node.inputs[0]] if is_copy else node.output
        readers.setdefault(root[node.output], set())
        for name in () if is_copy else node.inputs:
            readers.setdefault(root[name], set()).add(node.name)
        if node.output in graph.outputs:
            given_out.add(root[node.output])
    makers = {node.output: frozenset((node.name,)) for node in nodes}
    return tuple(
        _Value(
            name,
            math.prod(graph.shapes[name]),
            makers.get(name, frozenset()),
            frozenset(names),
            name in given_out,
        )
        for name, names in readers.items()
    )


def _cost(graph: Graph, node: Node) -> int:
    touched = sum(math.prod(graph.shapes[name]) for name in (*node.inputs, node.output))
    return multiply_adds(node.operator, graph.shapes[node.output]) + VALUE_COST * touched
