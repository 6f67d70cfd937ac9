"""Between what bounds each channel of a network's values lies, whatever the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from converters.bounds.functions import of_function, of_two
from converters.bounds.interval import UNIT, UNKNOWN, Bounds, constant, hull
from converters.bounds.sums import of_sums
from converters.channels import Channels, Lane
from converters.graph import Graph, Node
from converters.operators import (
    Add,
    Affine,
    AveragePool,
    Clamp,
    Concat,
    Constant,
    Conv,
    Gemm,
    GlobalAveragePool,
    Maximum,
    MaxPool,
    Minimum,
    Mul,
    Operator,
    Pad,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    Reshape,
    Resize,
    Slice,
    Sub,
    Transpose,
    Unary,
    clamp_of,
)
from edge.tensors import F32

# One value for each window of another, in between those.
AVERAGES = AveragePool | GlobalAveragePool | ReduceMean | Resize


def bounds(graph: Graph, channels: Channels) -> Mapping[str, Bounds]:
    """Return the bounds of each value's channels, by its name, that follow from the operators.

    Nothing is known of the graph's inputs but that they are finite: 0 * x is 0.
    """
    found = {name: _for_each(UNKNOWN, len(channels.of(name))) for name in graph.inputs}
    for node in graph.nodes:
        given = [found[name] for name in node.inputs]
        if node.name in channels.mixers and given:
            given = [hull([one]) for one in given]
        with np.errstate(all="ignore"):  # what comes out not finite is not known
            made = _of(graph, channels, node, given).clamped(clamp_of(node.operator))
        found[node.output] = _for_each(made, len(channels.of(node.output)))
    return found


def _for_each(made: Bounds, count: int) -> Bounds:
    low, high = np.broadcast_to(made.low, count), np.broadcast_to(made.high, count)
    is_known = (low <= high) & ((low < high) | np.isfinite(low))
    return Bounds(np.where(is_known, low, -np.inf), np.where(is_known, high, np.inf))


def _of(graph: Graph, channels: Channels, node: Node, given: Sequence[Bounds]) -> Bounds:
    """Return the bounds of what a node makes, without the clamp that it carries."""
    operator, output = node.operator, channels.lanes[node.output]
    if isinstance(operator, Constant):
        return _of_constant(operator.value, output.axis)
    if isinstance(operator, Add | Sub | Mul | Minimum | Maximum):
        return of_two(operator, *given)
    lanes = [channels.lanes[name] for name in node.inputs]
    if isinstance(operator, Concat | Slice | Reshape):
        if node.name in channels.mixers:
            return hull(given)
        return _moved(operator, given, lanes, output)
    if len(given) != 1:
        return UNKNOWN
    shape = graph.shapes[node.inputs[0]]
    if isinstance(operator, Conv | Gemm):
        grouped = isinstance(operator, Conv) and operator.groups > 1
        unclear = grouped and node.name in channels.mixers
        return of_sums(operator, UNKNOWN if unclear else given[0], shape)
    if isinstance(operator, AVERAGES):
        return _averaged(operator, given[0], math.prod(shape))
    return _of_one(operator, given[0], lanes[0])


def _of_one(operator: Operator, x: Bounds, lane: Lane) -> Bounds:
    match operator:
        case Affine():
            gain, offset = constant(operator.weight), constant(operator.bias)
            if operator.axis != lane.axis:
                gain, offset = hull([gain]), hull([offset])
            return of_two(Add(), of_two(Mul(), x, gain), offset)
        case Clamp():
            return x.clamped(operator)
        case Unary():
            return of_function(operator, x)
        case Pad():
            if operator.mode == "reflect":
                return x
            return Bounds(np.minimum(x.low, operator.value), np.maximum(x.high, operator.value))
        case MaxPool() | ReduceMax() | ReduceMin() | Transpose():
            return x
    return UNKNOWN


def _averaged(operator: Operator, x: Bounds, count: int) -> Bounds:
    """Return the bounds of means of at most `count` values, some of which are zeros around them."""
    if isinstance(operator, AveragePool) and operator.count_padding and any(operator.pads):
        x = Bounds(np.minimum(x.low, 0), np.maximum(x.high, 0))
    return x.widened(count * UNIT * x.largest)


def _moved(
    operator: Operator, given: Sequence[Bounds], lanes: Sequence[Lane], output: Lane
) -> Bounds:
    """Return the bounds of channels that lie elsewhere, or that are several."""
    x, lane = given[0], lanes[0]
    if isinstance(operator, Concat):
        low, high = ([getattr(one, end) for one in given] for end in ("low", "high"))
        return Bounds(np.concatenate(low), np.concatenate(high))
    if isinstance(operator, Slice):
        if lane.axis not in operator.axes:
            return x
        at = operator.axes.index(lane.axis)
        part = slice(operator.starts[at], operator.stops[at])
        return Bounds(x.low[part], x.high[part])
    run = len(output.ids) // len(lane.ids)
    return Bounds(np.repeat(x.low, run), np.repeat(x.high, run))


def _of_constant(value: F32, axis: int) -> Bounds:
    others = tuple(other for other in range(value.ndim) if other != axis)
    low, high = value.min(others), value.max(others)
    return Bounds(*(np.atleast_1d(end.astype(np.float64)) for end in (low, high)))
