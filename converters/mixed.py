"""The last rung: the fewest layers in float that reach the target, the cheapest first.

Float, and no activations of 16 bits: LiteRT runs those by its reference kernels, some forty times
slower than XNNPACK's float ones, and ONNX Runtime has no kernels for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from calibration.evaluate import Evaluation
from calibration.progress import Progress
from converters.error_trace import PICTURES, trace_errors
from converters.graph import Graph
from converters.ladder import Climb, Ground
from converters.mixed_order import Names, Order, parts_of
from converters.operators import multiply_adds
from converters.quantize.keep_float import keep_float
from converters.quantize.quantized import QuantizedGraph
from converters.refine import refine
from converters.saving import Change

# Scores of the artifacts of a network by format, and what they miss of the target (None: nothing).
Tried = tuple[Mapping[str, Evaluation], str | None]


@dataclass(frozen=True, slots=True)
class FloatLayer:
    """A node that is computed in float.

    `noise`: what its own roundings, and that of what it makes, do to the scores in int8, as a share
    of what all do, 0 to 1; `multiply_adds`: its share of those of one inference, 0 to 1.
    """

    name: str
    output: str
    kind: str
    noise: float
    multiply_adds: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """So many nodes in float, by the artifacts' scores; `missed`: what of the target, in words."""

    layers: int
    scores: Mapping[str, Evaluation]
    missed: str | None


@dataclass(frozen=True, slots=True)
class Mixing:
    """Which nodes are float, `of` how many that compute.

    `in_int8`: none; `reached`: these; `tried`: all attempts, from fewer nodes to more.
    `inference_ms`, by format: medians of both in turn, on one thread here.
    """

    layers: tuple[FloatLayer, ...]
    of: int
    in_int8: Attempt
    reached: Attempt
    tried: tuple[Attempt, ...]
    inference_ms: Mapping[str, Change[float]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{len(self.layers)} of {self.of} layers in float"


def mix(
    ground: Ground,
    reached: Climb,
    in_int8: Tried,
    attempt: Callable[[QuantizedGraph], Tried],
    progress: Progress,
) -> tuple[QuantizedGraph, Mixing] | None:
    """Return the network with the fewest nodes in float that misses nothing of the target.

    Where none does, it is the one with the most; None where not one node may be float.

    Args: reached: the best network in int8; in_int8: what is known of it; attempt: writes and
        scores another.
    """
    start = reached.before or reached.quantized
    pictures = (ground.judged or ground.pictures)[:PICTURES]
    traced = trace_errors(reached.quantized, pictures, progress)
    order = Order(start.graph, parts_of(start.graph, traced))
    choices = order.choices()
    made: dict[int, tuple[QuantizedGraph, Attempt]] = {}

    def is_met(index: int) -> bool:
        network = keep_float(start, choices[index])
        if reached.steps is not None:
            network = refine(network, ground.learned, reached.steps)
        scores, missed = attempt(network)
        made[index] = network, Attempt(len(choices[index]), scores, missed)
        return missed is None

    if not choices:
        return None
    # More float nodes do not always do better, but nearly so.
    found = min(bisect_left(range(len(choices)), True, key=is_met), len(choices) - 1)
    network, attained = made[found]
    first = Attempt(0, *in_int8)
    tried = (first, *(one for _, (_, one) in sorted(made.items())))
    layers = _layers(start.graph, order, choices[found])
    return network, Mixing(layers, len(order.nodes), first, attained, tried)


def _layers(graph: Graph, order: Order, chosen: Names) -> tuple[FloatLayer, ...]:
    everything = order.left(frozenset())
    adds = {n.name: multiply_adds(n.operator, graph.shapes[n.output]) for n in order.nodes}
    parts = order.parts
    return tuple(
        FloatLayer(
            node.name,
            node.output,
            node.kind,
            (parts.own.get(node.name, 0.0) + parts.values.get(node.output, 0.0)) / everything,
            adds[node.name] / max(1, sum(adds.values())),
        )
        for node in order.nodes
        if node.name in chosen
    )
