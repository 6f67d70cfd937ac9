"""Bring the weights of a layer nearer to each other, before all of them get one scale.

One scale is the largest weight over 127, and every weight is off by up to half of it. Where
BatchNormalization is folded in, the channels of a depthwise convolution differ by some hundred
times, and of most of them nothing is left. A gain on a channel makes the weights behind it smaller
and those before it larger, and the float network computes the same (`equalize`, and M. Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019).

A ReLU6 stands a gain too, for a channel that stays below 6: its values may grow up to the clamp. A
channel that comes near to it keeps a gain of 1, and of another only values far beyond any that
calibration saw are clamped elsewhere.

The gains are those with the least noise, each layer's and each value's as a share of its signal:

    weights   scale^2 / 12 * sum over o, i of active[o] * input[i] * (gain[i] / gain[o])^2
    values    step^2 / 12 * sum over c of active[c] / gain[c]^2

with scale = max |w[o, i]| * gain[o] / gain[i] / 127 and step = max range[c] * gain[c] / 255; input
is a mean square, and active the share of a channel's values that are not zero, since a ReLU cuts
off what noise there is behind the others. With norms of a high order for the maxima these are sums
of products of powers, convex in the gains' logarithms (S. Boyd et al., "A tutorial on geometric
programming", 2007): from anywhere Newton's steps, which here take each channel by itself, lead to
the one least noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.channels import Channels
from converters.graph import Graph, Node, PassResult
from converters.operators import INFINITY, Conv, clamp_of
from converters.quantize.equalize import Group, groups, moves_of
from converters.quantize.rescale import MOST_GAIN, rescaled
from converters.quantize.second_order import F64

# Beyond the largest value that calibration saw, a channel is taken to reach so many times the mean
# of those that are not zero. Where these fall off exponentially, that is the largest of e^4 times
# as many: a channel of which little was seen needs much room, one that is always the same none.
TAIL = 4.0
# The orders of the norms that stand for maxima, one after another, and the steps with each: with a
# high one alone, only the few largest channels would move in a step.
ORDERS = (8, 24)
STEPS = 12
# Of an input's mean, squared, how much counts beside its variance: biases are corrected, and take
# the mean of the noise away, but for what differs from picture to picture.
MEAN_SHARE = 0.1
# No channel's gain changes more in one step, as a logarithm.
MOST_STEP = 1.0
TINY = 1e-300  # of what is nothing there is no logarithm
# Below this share of the largest a weight is none.
LEAST_WEIGHT = 1e-12
LEAST_SHARE = 1e-9  # a channel that was never active has none


@dataclass(frozen=True, slots=True, eq=False)
class _Pull:
    """What draws at the gains of a value's channels, as shares of some noise: float64 [C] each.

    `peak`: what its maximum takes from each channel; `noise`: what each channel has of its sum.
    A larger gain of a value that is made (`sign` 1) raises the one and lowers the other; of one
    that is read (-1), the other way round.
    """

    value: str
    sign: int
    peak: F64
    noise: F64


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A convolution: the sizes of its weights, largest 1, and what counts of them.

    `sizes`: [O, I], or [O, 1] where each channel is convolved by itself; `inputs`: [I] or [O], the
    mean square of what is read; `active`: [O]; `loss`: the noise, times the square of the scale
    and the sum of the products, as a share of the signal.
    """

    source: str
    output: str
    by_itself: bool
    sizes: F64
    inputs: F64
    active: F64
    loss: float

    def pulls(self, logs: Mapping[str, F64], powers: F64, order: int) -> list[_Pull]:
        """Args: logs: of the gains, by value; powers: `sizes` to the power of `order`."""
        made = np.exp(logs[self.output]) if self.output in logs else np.ones(len(self.active))
        read = np.exp(logs[self.source]) if self.source in logs else np.ones(len(self.inputs))
        if self.by_itself:
            read = np.repeat(read, len(made) // len(read))
            peaks = powers[:, 0] * (made / read) ** order
            noises = self.active * self.inputs * np.square(read / made)
            height, loss = peaks.sum(), noises.sum()
            made_by = read_by = (peaks / height, noises / loss)
        else:
            up, down = made**order, read**-order
            peaks = up * (powers @ down)
            outputs, inputs = self.active / np.square(made), self.inputs * np.square(read)
            height, loss = peaks.sum(), outputs.sum() * inputs.sum()
            made_by = (peaks / height, outputs / outputs.sum())
            read_by = (down * (up @ powers) / height, inputs / inputs.sum())
        total = self.loss * height ** (2 / order) * loss
        pulls = []
        for value, sign, (peak, noise) in (
            (self.output, 1, made_by),
            (self.source, -1, read_by),
        ):
            if value in logs:
                count = len(logs[value])
                parts = (total * part.reshape(count, -1).sum(axis=1) for part in (peak, noise))
                pulls.append(_Pull(value, sign, *parts))
        return pulls


@dataclass(frozen=True, slots=True, eq=False)
class _Value:
    """What is rounded to 8 bits: how far each channel reaches, largest 1; `loss` as of a layer."""

    name: str
    sizes: F64
    active: F64
    loss: float

    def pulls(self, logs: Mapping[str, F64], powers: F64, order: int) -> list[_Pull]:
        gains = np.exp(logs[self.name])
        peaks, noises = powers * gains**order, self.active / np.square(gains)
        total = self.loss * peaks.sum() ** (2 / order) * noises.sum()
        peak, noise = (total * part / part.sum() for part in (peaks, noises))
        return [_Pull(self.name, 1, peak, noise)]


def balance(graph: Graph, channels: Mapping[str, Channels]) -> PassResult:
    """Return a Graph that computes the same, with weights of more equal size in each layer.

    Args: channels: of every value of `groups(graph)`, over calibration pictures.
    """
    found = groups(graph)
    moves: dict[str, F64] = {}
    for group in found:
        moves |= moves_of(graph, group, channels)
    moved = {name: _moved(channels[name], move) for name, move in moves.items()}
    logs = _least_noise(graph, found, moved)
    gains = {name: np.exp(log) for name, log in logs.items()}
    changed = []
    for group in found:
        gain = gains[group.values[0]]
        changed.append(f"{', '.join(group.values)}: gains {gain.min():.2f} to {gain.max():.2f}")
    return PassResult(
        graph.with_nodes(rescaled(node, gains, moves) for node in graph.nodes), tuple(changed)
    )


def _moved(seen: Channels, move: F64) -> Channels:
    return replace(seen, low=seen.low - move, high=seen.high - move, mean=seen.mean - move)


def _least_noise(
    graph: Graph, found: Sequence[Group], channels: Mapping[str, Channels]
) -> dict[str, F64]:
    """Return the logarithms of the gains of every value of `found`, float64 [C]."""
    limits = [_limits(graph, group, channels) for group in found]
    logs = {name: np.zeros(len(channels[name].mean)) for group in found for name in group.values}
    parts: list[_Layer | _Value] = [*_layers(graph, channels), *_values(channels)]
    for order in ORDERS:
        powers = [part.sizes**order for part in parts]
        for _ in range(STEPS):
            pulls: dict[str, list[_Pull]] = {name: [] for name in logs}
            for part, raised in zip(parts, powers, strict=True):
                for pull in part.pulls(logs, raised, order):
                    pulls[pull.value].append(pull)
            for group, (least, most) in zip(found, limits, strict=True):
                step = _step([pull for name in group.values for pull in pulls[name]], order)
                log = np.clip(logs[group.values[0]] + step, least, most)
                logs |= dict.fromkeys(group.values, log)
    return logs


def _step(pulls: Sequence[_Pull], order: int) -> F64:
    """Return Newton's step in the logarithm of each channel's gain, the others held.

    The least noise is where what rises with the gain is as much as what falls. Of both it is the
    logarithms that are nearly straight.
    """
    logs, bends = [], []
    for sign in (1, -1):
        power = {sign: order, -sign: 2}  # what rises with a gain by its peak falls by its noise
        amounts = [(power[p.sign], p.peak if p.sign == sign else p.noise) for p in pulls]
        total = sum((amount for _, amount in amounts), start=np.full(1, TINY))
        logs.append(np.log(total))
        bends.append(sum(bend * amount for bend, amount in amounts) / total)
    step: F64 = (logs[1] - logs[0]) / np.maximum(bends[0] + bends[1], 2.0)
    return np.clip(step, -MOST_STEP, MOST_STEP)


def _limits(graph: Graph, group: Group, channels: Mapping[str, Channels]) -> tuple[F64, F64]:
    """Return the least and the largest logarithm of each channel's gain, float64 [C]."""
    most = np.full(len(channels[group.values[0]].mean), np.log(MOST_GAIN))
    least = -most
    for name in group.values:
        clamp = clamp_of(graph.producers[name].operator)
        if clamp is not None and clamp.high != INFINITY:
            reach = np.maximum(_reach(channels[name]), clamp.high / MOST_GAIN)
            most = np.minimum(most, np.maximum(np.log(clamp.high / reach), 0))
            least = np.where(reach < clamp.high, least, 0)
    return least, most


def _reach(seen: Channels) -> F64:
    """Return what no value of a channel, float64 [C], is likely to exceed.

    Of a share p of values that fall off exponentially, with the mean m, the variance is about
    2 p m^2: so m is found from what the values differ by, and not from what they have in common.
    """
    mean = np.sqrt(seen.variance / (2 * np.maximum(seen.active, LEAST_SHARE)))
    reach: F64 = seen.high + TAIL * mean
    return reach


def _layers(graph: Graph, channels: Mapping[str, Channels]) -> list[_Layer]:
    layers = (_layer(node, channels) for node in graph.nodes)
    return [layer for layer in layers if layer is not None]


def _layer(node: Node, channels: Mapping[str, Channels]) -> _Layer | None:
    """Return what the weights of a node lose; None where no gain changes it."""
    operator = node.operator
    if not isinstance(operator, Conv) or not {*node.inputs, node.output} & channels.keys():
        return None
    (source,) = node.inputs
    weight = np.abs(operator.weight.astype(np.float64)).max(axis=(2, 3))
    energy = np.square(operator.weight.astype(np.float64)).sum(axis=(2, 3))
    peak = weight.max()
    if peak == 0:
        return None
    by_itself = operator.is_depthwise
    inputs = np.ones(operator.groups if by_itself else weight.shape[1])
    if source in channels:
        inputs = channels[source].variance + MEAN_SHARE * np.square(channels[source].mean)
    each = np.repeat(inputs, len(weight) // len(inputs)) if by_itself else inputs
    # Of inputs that nobody observed, this is right whatever their size.
    signal = (energy[:, 0] * each).sum() if by_itself else (energy @ inputs).sum()
    active = np.ones(len(weight))
    if node.output in channels:
        active = channels[node.output].active
        if source in channels:
            signal = channels[node.output].variance.sum()
    # A channel without weights is rounded without an error.
    active = np.where(weight.max(axis=1) > LEAST_WEIGHT * peak, active, 0)
    carried = (active * each).sum() if by_itself else active.sum() * each.sum()
    # Values beyond float32's squares are not balanced.
    if not (0 < carried < INFINITY and 0 < signal < INFINITY):
        return None
    taps = operator.kernel[0] * operator.kernel[1]
    loss = taps * peak**2 / (12 * 127**2) / signal
    return _Layer(source, node.output, by_itself, weight / peak, each, active, float(loss))


def _values(channels: Mapping[str, Channels]) -> list[_Value]:
    values = []
    for name, seen in channels.items():
        reach = np.maximum(seen.high, -seen.low) * (2 if seen.low.min() < 0 else 1)
        signal, peak = seen.variance.sum(), reach.max()
        if 0 < signal < INFINITY and seen.active.any():
            loss = peak**2 / (12 * 255**2) / signal
            values.append(_Value(name, reach / peak, seen.active, float(loss)))
    return values
