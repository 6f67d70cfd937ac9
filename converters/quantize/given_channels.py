"""Activations with a scale for each channel, of which TFLite has none: one scale for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import eq

import numpy as np

from converters.graph import Graph, Node
from converters.operators import INFINITY, Clamp, Clamped, Conv, Requantize
from converters.passes.match import sole_reader
from converters.quantize.given_gains import Scaled, scale_outputs, scale_weights
from converters.quantize.integers import GivenConstants
from converters.quantize.params import QMAX, QMIN, SMALLEST_SCALE, QuantParams, from_range

HALF = 0.5001  # of a step, and the rounding of a scale to float32


@dataclass(frozen=True, slots=True)
class OneScale:
    """The network with one scale for each activation, and what had more, in words."""

    graph: Graph
    constants: Mapping[str, GivenConstants]
    notes: tuple[str, ...]


def with_one_scale(graph: Graph, constants: Mapping[str, GivenConstants]) -> OneScale:
    """Return the network without scales for the channels of an activation.

    Between a convolution and depthwise ones, a channel's scale goes into the weights before and
    behind: their scales change, and all integers stay. Elsewhere one range covers all channels.
    """
    given, notes, renamed = dict(constants), [], {}
    for node in graph.nodes:
        params = node.operator.params if isinstance(node.operator, Requantize) else None
        if params is None or params.axis is None:
            continue
        said = f"{node.output}: {len(params.scale)} scales along axis {params.axis}"
        even = _with_one_zero_point(params, _lowest(graph, node))
        moved = _moved(graph, node, even, given)
        one = QuantParams((max(even.scale),), even.zero_point[:1]) if moved else _covering(params)
        others = len(params.scale) - sum(map(eq, params.zero_point, even.zero_point))
        if moved and not others:
            notes.append(f"{said} are moved into the weights around it; its integers stay")
        elif moved:
            notes.append(
                f"{said} are moved into the weights around it; its integers stay but for {others} "
                f"channels, which are requantized to the others' zero point {one.zero_point[0]}"
            )
        else:
            notes.append(
                f"{said}; TFLite has one: requantized to scale {one.scale[0]:.6g}, zero point "
                f"{one.zero_point[0]}, which covers all. Quantize activations per tensor"
            )
        if others or not moved:
            # Its integers are not the file's: under its name they would be compared with them.
            renamed[node.output] = f"{node.output}/one_scale"
        given |= {made.node.name: made.constants for made in moved}
        changed = {made.node.name: made.node for made in moved}
        changed[node.name] = replace(node, operator=Requantize(one))
        graph = graph.with_nodes(changed.get(old.name, old) for old in graph.nodes)
    return OneScale(_renamed(graph, renamed), given, tuple(notes))


def _renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """Return the graph with other names for values that it does not give away."""
    inner = {old: new for old, new in names.items() if old not in graph.outputs}
    nodes = (
        replace(
            node,
            inputs=tuple(inner.get(name, name) for name in node.inputs),
            output=inner.get(node.output, node.output),
        )
        for node in graph.nodes
    )
    return graph.with_nodes(nodes)


def _covering(params: QuantParams) -> QuantParams:
    """Return parameters that hold what any channel's hold."""
    pairs = list(zip(params.scale, params.zero_point, strict=True))
    low = min(scale * (QMIN - zero_point) for scale, zero_point in pairs)
    return from_range(low, max(scale * (QMAX - zero_point) for scale, zero_point in pairs))


def _lowest(graph: Graph, node: Node) -> float:
    """Return what no value that a node reads is below."""
    maker = graph.producers.get(node.inputs[0])
    clamp = maker.operator.clamp if maker and isinstance(maker.operator, Clamped) else None
    return clamp.low if clamp else -INFINITY


def _with_one_zero_point(params: QuantParams, lowest: float) -> QuantParams:
    """Return parameters with the most common zero point, where the others' ranges fit under it.

    Such others are channels that are always 0, for which tools choose whatever they like.
    """
    ((common, _),) = Counter(params.zero_point).most_common(1)
    scales = []
    for scale, zero_point in zip(params.scale, params.zero_point, strict=True):
        if zero_point == common:
            scales.append(scale)
            continue
        low, high = max(scale * (QMIN - zero_point), lowest), scale * (QMAX - zero_point)
        below, above = QMIN - common, QMAX - common
        if (low < 0 and not below) or (high > 0 and not above):
            return params
        needed = max(low / below if below else 0.0, high / above if above else 0.0)
        scales.append(float(np.float32(max(needed, SMALLEST_SCALE))))
    return QuantParams(tuple(scales), (common,) * len(scales), params.axis)


def _moved(
    graph: Graph, node: Node, params: QuantParams, given: Mapping[str, GivenConstants]
) -> list[Scaled]:
    """Return what makes and what reads a value whose channels get one scale; empty if they cannot.

    A convolution's integers are its sums times input scale times weight scale by output scale:
    what both of the last two are multiplied by changes none. Padding is 0 under either scale.
    """
    maker, readers = graph.producers.get(node.inputs[0]), graph.consumers[node.output]
    if maker is None or sole_reader(graph, maker.output) is not node or not readers:
        return []
    if node.output in graph.outputs or params.axis != 1 or len(set(params.zero_point)) > 1:
        return []
    scales = np.asarray(params.scale)
    first = _freed(maker, params)
    if first is None or not all(_is_depthwise(reader, len(scales)) for reader in readers):
        return []
    gain = scales.max() / scales
    held = [given.get(name, GivenConstants()) for name in (maker.name, *(r.name for r in readers))]
    made = [scale_outputs(first, held[0], gain, np.zeros(len(gain), np.float32))]
    for reader, constants in zip(readers, held[1:], strict=True):
        assert isinstance(reader.operator, Conv)  # noqa: S101 (_is_depthwise checked it)
        each = np.repeat(1 / gain, len(reader.operator.bias) // len(gain))
        made.append(scale_weights(reader, constants, each))
    found = [one for one in made if one is not None]
    return found if len(found) == len(made) else []


def _is_depthwise(node: Node, channels: int) -> bool:
    operator = node.operator
    return isinstance(operator, Conv) and operator.is_depthwise and operator.groups == channels


def _freed(node: Node, params: QuantParams) -> Node | None:
    """Return a convolution without a clamp that its channels' own limits are, None if one is not.

    What is left of it, at most "not below 0", is the same however a channel is multiplied.
    """
    operator = node.operator
    if not isinstance(operator, Conv):
        return None
    clamp = operator.clamp
    if clamp is None:
        return node
    pairs = list(zip(params.scale, params.zero_point, strict=True))
    ends = [(QMAX - zero_point) * scale - clamp.high - scale * HALF for scale, zero_point in pairs]
    if clamp.low not in (0, -INFINITY) or max(ends) > 0:
        return None
    left = None if clamp.low else Clamp(0.0, INFINITY)
    return replace(node, operator=replace(operator, clamp=left))
