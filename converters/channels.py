"""Which channels of a network's values belong together: none can go without the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from converters.graph import Graph, Node
from converters.operators import (
    Affine,
    AveragePool,
    Binary,
    Clamp,
    Concat,
    Conv,
    Gemm,
    GlobalAveragePool,
    LogSoftmax,
    MaxPool,
    Pad,
    Reduce,
    Reshape,
    Resize,
    Shape,
    Slice,
    Softmax,
    Transpose,
    Unary,
)

# Of pixels, in each channel by itself.
WINDOWS = AveragePool | MaxPool | GlobalAveragePool | Resize
I64: TypeAlias = np.typing.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """The channels of one value, along `axis`; those with one of `ids` [channels] go together."""

    axis: int
    ids: I64


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """The lane of each value by name, how many ids there are, and which of them must stay.

    `mixers`: the nodes, by name, whose channels are not told apart.
    """

    lanes: Mapping[str, Lane]
    count: int
    fixed: Mapping[int, str]  # by id, with the reason
    mixers: frozenset[str]

    def of(self, value: str) -> I64:
        return self.lanes[value].ids


def is_dense(node: Node) -> bool:
    """Whether each output channel of a node is a weighted sum of all its input channels."""
    if isinstance(node.operator, Conv):
        return node.operator.groups == 1 and not is_channelwise(node)
    return isinstance(node.operator, Gemm)


def is_channelwise(node: Node) -> bool:
    """Whether a node is a convolution of each channel by itself, one to one."""
    conv = node.operator
    return isinstance(conv, Conv) and conv.weight.shape[:2] == (conv.groups, 1)


def read_axis(node: Node, rank: int) -> int:
    """Return the axis along which a dense node's channels lie."""
    return 1 if isinstance(node.operator, Conv) else rank - 1


@dataclass(slots=True)
class _Tracer:
    graph: Graph
    lanes: dict[str, Lane] = field(default_factory=dict)
    count: int = 0
    parents: dict[int, int] = field(default_factory=dict)  # of those that are tied
    fixed: list[tuple[I64, str]] = field(default_factory=list)
    mixers: set[str] = field(default_factory=set)

    def fresh(self, value: str, axis: int) -> Lane:
        shape = self.graph.shapes[value]
        first = self.count
        self.count += shape[axis] if shape else 1
        return Lane(axis, np.arange(first, self.count))

    def fix(self, lane: Lane, reason: str) -> None:
        self.fixed.append((lane.ids, reason))

    def root(self, one: int) -> int:
        path = []
        while one in self.parents:
            path.append(one)
            one = self.parents[one]
        self.parents |= dict.fromkeys(path, one)
        return one

    def tie(self, some: I64, others: I64) -> None:
        for a, b in zip(some.tolist(), others.tolist(), strict=True):
            if self.root(a) != self.root(b):
                self.parents[self.root(a)] = self.root(b)

    def trace(self, node: Node) -> Lane:
        """Return the lane of what a node makes; what it holds together is tied or fixed."""
        shapes = [self.graph.shapes[name] for name in node.inputs]
        lanes = [self.lanes[name] for name in node.inputs]
        output = self.graph.shapes[node.output]
        if is_dense(node):
            if lanes[0].axis != read_axis(node, len(shapes[0])):
                self.fix(lanes[0], _read_by(node))
                self.mixers.add(node.name)
            return self.fresh(node.output, read_axis(node, len(output)))
        lane = (
            self._of_two(lanes, shapes, output)
            if isinstance(node.operator, Binary)
            else _through(node, lanes, shapes, output)
        )
        if lane is None:
            self.mixers.add(node.name)
            for given in lanes:
                self.fix(given, _read_by(node))
            lane = self.fresh(node.output, _usual_axis(output))
            self.fix(lane, f"{node.name} ({node.kind}) makes them")
        return lane

    def _of_two(self, lanes: Sequence[Lane], shapes: Sequence[Shape], output: Shape) -> Lane | None:
        """Return the lane of a sum or the like: the channels of both operands are tied."""
        axes = [
            lane.axis + len(output) - len(shape) for lane, shape in zip(lanes, shapes, strict=True)
        ]
        wide = [
            Lane(axis, lane.ids)
            for axis, lane in zip(axes, lanes, strict=True)
            if axis < len(output) and len(lane.ids) == output[axis]
        ]
        spread = [lane for lane in lanes if len(lane.ids) == 1]
        if not wide or len(wide) + len(spread) < 2 or len({lane.axis for lane in wide}) > 1:
            return None
        if len(wide) == 2:
            self.tie(wide[0].ids, wide[1].ids)
        elif any(
            _side(shape, wide[0].axis - len(output)) != 1
            for lane, shape in zip(lanes, shapes, strict=True)
            if lane in spread
        ):
            return None
        return wide[0]


def trace(graph: Graph) -> Channels:
    """Follow the channels of every value from the nodes that mix them to those that do again.

    The channels of the graph's inputs and outputs are fixed, and so are those that an operator
    reads or makes which cannot do without some of them.
    """
    tracer = _Tracer(graph)
    for name, shape in graph.inputs.items():
        tracer.lanes[name] = tracer.fresh(name, _usual_axis(shape))
        tracer.fix(tracer.lanes[name], "they are the input")
    for node in graph.nodes:
        tracer.lanes[node.output] = tracer.trace(node)
    for name in graph.outputs:
        tracer.fix(tracer.lanes[name], "they are an output")
    roots = np.arange(tracer.count)
    for one in tracer.parents:
        roots[one] = tracer.root(one)
    lanes = {name: Lane(lane.axis, roots[lane.ids]) for name, lane in tracer.lanes.items()}
    fixed: dict[int, str] = {}
    for ids, reason in tracer.fixed:
        for one in roots[ids].tolist():
            fixed.setdefault(one, reason)
    return Channels(lanes, len(roots), fixed, frozenset(tracer.mixers))


def _through(
    node: Node, lanes: Sequence[Lane], shapes: Sequence[Shape], output: Shape
) -> Lane | None:
    """Return the lane behind an operator that leaves channels apart, None where it does not."""
    operator = node.operator
    if isinstance(operator, Concat):
        if any(lane.axis != operator.axis for lane in lanes):
            return None
        return Lane(operator.axis, np.concatenate([lane.ids for lane in lanes]))
    if len(lanes) != 1:
        return None
    lane, axis = lanes[0], lanes[0].axis
    if isinstance(operator, Transpose | Slice | Reshape | Reduce):
        return _moved(operator, lane, shapes[0], output)
    if isinstance(operator, Conv):
        leaves = is_channelwise(node) and axis == 1
    elif isinstance(operator, Softmax | LogSoftmax):
        leaves = axis != operator.axis
    elif isinstance(operator, Pad):
        leaves = not (operator.before[axis] or operator.after[axis])
    elif isinstance(operator, WINDOWS):
        leaves = axis == 1
    else:
        leaves = isinstance(operator, Clamp | Unary | Affine)
    return lane if leaves else None


def _moved(
    operator: Transpose | Slice | Reshape | Reduce, lane: Lane, shape: Shape, output: Shape
) -> Lane | None:
    """Return where the channels lie then, and which are left; None where they are mixed."""
    axis = lane.axis
    match operator:
        case Transpose():
            return Lane(operator.order.index(axis), lane.ids)
        case Reduce():
            gone = 0 if operator.keep else sum(other < axis for other in operator.axes)
            return None if axis in operator.axes else Lane(axis - gone, lane.ids)
        case Slice():
            if axis not in operator.axes:
                return lane
            at = operator.axes.index(axis)
            part = slice(operator.starts[at], operator.stops[at])
            return Lane(axis, lane.ids[part]) if operator.steps[at] == 1 else None
        case Reshape():
            # Each channel keeps its axis, or becomes a run of that which it shares with the next.
            before, side = math.prod(shape[:axis]), shape[axis]
            places = [
                place
                for place in range(len(output))
                if math.prod(output[:place]) == before and output[place] % side == 0
            ]
            if places:  # more than one of a single channel
                place = min(places, key=lambda place: abs(place - axis))
                return Lane(place, np.repeat(lane.ids, output[place] // side))
    return None


def _side(shape: Shape, from_the_end: int) -> int:
    return shape[from_the_end] if -from_the_end <= len(shape) else 1


def _usual_axis(shape: Shape) -> int:
    return 1 if len(shape) == 4 else max(len(shape) - 1, 0)


def _read_by(node: Node) -> str:
    return f"{node.name} ({node.kind}) reads them as a whole"
