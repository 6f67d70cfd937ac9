"""Recognise a hard-swish in its parts."""

from __future__ import annotations

from converters.graph import Graph, Node, PassResult
from converters.operators import Clamp, HardSwish, Mul
from converters.passes.match import Match, close, replaced, scaled_source, uniform, unscaled


def fuse_hard_swish(graph: Graph) -> PassResult:
    """Make x * min(max(x + 3, 0), 6) / 6 one operator, wherever the sixth stands.

    Left alone: products of a value and a clamp of another, such as the scale of a squeeze-excite.
    """
    matches = []
    for node in graph.nodes:
        if isinstance(node.operator, Mul) and node.operator.clamp is None:
            for x, gate in (node.inputs, node.inputs[::-1]):
                match = _match(graph, node, x, gate)
                if match is not None:
                    matches.append(match)
                    break
    changed = tuple(f"{match.last.name} as HardSwish" for match in matches)
    return PassResult(replaced(graph, matches), changed)


def _match(graph: Graph, product: Node, other: str, gate: str) -> Match | None:
    """Return the hard-swish that is `other`, a multiple of x, times `gate`, one of its clamp."""
    clamped, outer, scaling = scaled_source(graph, gate)
    clamp = graph.producers.get(clamped)
    if clamp is None or not isinstance(clamp.operator, Clamp) or clamp.operator.low != 0:
        return None
    straight = graph.producers.get(clamp.inputs[0])
    found = uniform(straight)
    if straight is None or found is None:
        return None
    (x,) = straight.inputs
    source, inner, first = scaled_source(graph, other) if other != x else (x, 1.0, ())
    (gain, offset), high = found, clamp.operator.high
    if source != x or not (close(gain, high / 6) and close(offset, high / 2)):
        return None
    end = unscaled(graph, product, outer * inner * high)
    if end is None:
        return None
    last, after = end
    return Match(HardSwish(), x, last, (product, clamp, straight, *scaling, *first, last), after)
