"""Bring the channels of a tensor nearer to each other, before all of them get one scale.

Where one channel reaches to 50 and another to 1, one scale leaves the second few of its 256 steps.
A channel may be multiplied where it is made and divided where it is read, and moved where it is
made and moved back in the bias of whoever reads it, and the float network computes the same. That
holds for what is linear, as MobileNetV2's bottlenecks and their sums are; a ReLU stands a gain but
no move. The upper end of a ReLU6 is one number for all channels: those that stay below it stand a
gain that leaves them there. Channels that are added have the same gain in both summands and in the
sum, and moves that add up, so that a whole residual group is one. The gain is in the weights before
and behind, whose scales are their own: M. Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction" (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibration.channels import Channels
from converters.graph import Graph, Node, PassResult
from converters.operators import INFINITY, Add, Conv, clamp_of
from converters.quantize.fill import fillable
from converters.quantize.rescale import LEAST_POSITIONS, MOST_GAIN, rescaled
from converters.quantize.second_order import F64

# With exponent 1 all channels would reach equally far. On pictures that calibration has not seen,
# rare large values then leave the range more often, and the weights behind lose more: half of the
# way, in dB, was the best or next to it on all networks that were tried.
EXPONENT = 0.5
# What a ReLU6 cuts off is lost, so that of a channel's room below it less is taken.
CAPPED_EXPONENT = 0.25


@dataclass(frozen=True, slots=True)
class Group:
    """Values whose channels have one gain.

    `moves`: they may be moved as well; `capped`: a clamp ends them, which gains must respect.
    """

    values: tuple[str, ...]
    moves: bool
    capped: bool = False


def groups(graph: Graph) -> tuple[Group, ...]:
    """Return what can be equalized, each value in one group at most, in the order of the graph."""
    group: dict[str, list[str]] = {}  # of each value; the values of one group share the list
    for node in graph.nodes:
        if _is_scalable(graph, node):
            members = [node.output]
            if isinstance(node.operator, Add):
                for name in dict.fromkeys(node.inputs):
                    others = group.get(name)
                    if others is None or others is members:
                        continue
                    members += others
            for name in members:
                group[name] = members
    order = {name: index for index, name in enumerate(graph.shapes)}
    distinct = {id(members): members for members in group.values()}.values()
    return tuple(
        Group(
            tuple(sorted(members, key=order.__getitem__)),
            _may_move(graph, members),
            any(_is_capped(graph.producers[name]) for name in members),
        )
        for members in distinct
        if all(_is_closed(graph, name, members) for name in members)
    )


def _is_scalable(graph: Graph, node: Node) -> bool:
    """Whether a node makes channels that may have gains, if those that it reads have them."""
    clamp = clamp_of(node.operator)
    if clamp is not None and clamp.low != 0:
        return False
    if isinstance(node.operator, Add):
        same = graph.shapes[node.inputs[0]] == graph.shapes[node.inputs[1]]
        return same and not _is_capped(node)
    return isinstance(node.operator, Conv)


def _is_capped(node: Node) -> bool:
    clamp = clamp_of(node.operator)
    return clamp is not None and clamp.high != INFINITY


def _is_closed(graph: Graph, value: str, members: list[str]) -> bool:
    """Whether everybody who makes or reads a value can take a gain of it."""
    maker = graph.producers[value]
    if isinstance(maker.operator, Add) and not set(maker.inputs) <= set(members):
        return False
    readers = graph.consumers[value]
    if value in graph.outputs or not readers:
        return False
    return all(
        (isinstance(reader.operator, Conv) and _reads_channels(reader.operator))
        or (isinstance(reader.operator, Add) and reader.output in members)
        for reader in readers
    )


def _reads_channels(operator: Conv) -> bool:
    return operator.groups == 1 or operator.is_depthwise


def _may_move(graph: Graph, members: list[str]) -> bool:
    """Whether no member is clamped, and none is padded with zeros that would have to move too."""
    readers = [reader.operator for name in members for reader in graph.consumers[name]]
    return all(clamp_of(graph.producers[name].operator) is None for name in members) and not any(
        isinstance(operator, Conv) and any(operator.pads) for operator in readers
    )


def equalize(graph: Graph, channels: Mapping[str, Channels]) -> PassResult:
    """Return a Graph that computes the same, with channels of more equal size.

    Those that `fill` serves stay: it takes more of their room, at no cost.
    Args: channels: of every value of `groups`, over the calibration pictures.
    """
    gains: dict[str, F64] = {}
    moves: dict[str, F64] = {}
    changed = []
    free = set(fillable(graph))
    for group in groups(graph):
        if free.issuperset(group.values):
            continue
        moves |= moves_of(graph, group, channels)
        if group.capped:
            (name,) = group.values
            gain = _room(channels[name])
        else:
            gain = _gain([_reach(channels[name], moves[name]) for name in group.values])
        gains |= dict.fromkeys(group.values, gain)
        changed.append(f"{', '.join(group.values)}: gains {gain.min():.2f} to {gain.max():.2f}")
    nodes = [rescaled(node, gains, moves) for node in graph.nodes]
    return PassResult(graph.with_nodes(nodes), tuple(changed))


def moves_of(graph: Graph, group: Group, channels: Mapping[str, Channels]) -> dict[str, F64]:
    """Return how far each channel of a group's values is moved, float64 [C]: by its mean."""
    moves: dict[str, F64] = {}
    for name in group.values:
        maker = graph.producers[name]
        if not group.moves:
            moves[name] = np.zeros_like(channels[name].mean)
        elif isinstance(maker.operator, Add):
            moves[name] = moves[maker.inputs[0]] + moves[maker.inputs[1]]
        else:
            moves[name] = channels[name].mean
    return moves


def _reach(channels: Channels, move: F64) -> F64:
    """Return how far from its new zero each channel reaches, 1 on (geometric) average."""
    reach = np.maximum(channels.high - move, move - channels.low)
    used = reach > 0
    if not used.any():
        return np.ones_like(reach)
    middle = np.exp(np.log(reach[used]).mean())
    return np.where(used, reach / middle, 1.0)


def _room(channels: Channels) -> F64:
    """Return gains from 1 on that take part of what each channel leaves below the largest."""
    top = channels.high.max()
    if top <= 0 or channels.positions < LEAST_POSITIONS:
        return np.ones_like(channels.high)
    least = top / MOST_GAIN ** (1 / CAPPED_EXPONENT)
    gain: F64 = (top / np.maximum(channels.high, least)) ** CAPPED_EXPONENT
    return np.where(channels.high > 0, gain, 1.0)


def _gain(reaches: list[F64]) -> F64:
    gain: F64 = np.exp(-EXPONENT * np.log(reaches).mean(axis=0))
    return np.clip(gain, 1 / MOST_GAIN, MOST_GAIN)
