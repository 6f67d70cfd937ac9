"""What the passes that recognise a function in its parts ask of a graph."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from converters.graph import Graph, Node
from converters.operators import Affine, Operator

# Exporters write their constants in float32, and some of them as quotients of two.
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Match:
    """A function found in its parts: `operator` of `source` is what `last` makes.

    `parts` are the nodes that only serve it, `last` included. `after`, where there is one, is what
    the only reader of `last` is from then on.
    """

    operator: Operator
    source: str
    last: Node
    parts: tuple[Node, ...]
    after: Affine | None = None


def uniform(node: Node | None) -> tuple[float, float] | None:
    """Return gain and offset of an Affine that has one of each for all channels, else None."""
    if node is None or not isinstance(node.operator, Affine):
        return None
    affine = node.operator
    return (float(affine.weight[0]), float(affine.bias[0])) if affine.is_uniform else None


def sole_reader(graph: Graph, value: str) -> Node | None:
    """Return the one node that reads a value which is no output of the graph."""
    readers = graph.consumers[value]
    return readers[0] if len(readers) == 1 and value not in graph.outputs else None


def close(found: float, wanted: float) -> bool:
    return math.isclose(found, wanted, rel_tol=TOLERANCE)


def scaled_source(graph: Graph, value: str) -> tuple[str, float, tuple[Node, ...]]:
    """Return what a value is a multiple of, by what factor, and the node that multiplies."""
    maker = graph.producers.get(value)
    found = uniform(maker)
    if maker is None or found is None or found[1] != 0:
        return value, 1.0, ()
    return maker.inputs[0], found[0], (maker,)


def unscaled(graph: Graph, node: Node, factor: float) -> tuple[Node, Affine | None] | None:
    """Return the node that makes a function which `node` makes `factor` times.

    It is itself where the factor is 1, or the node that alone reads it and makes up for the factor;
    or itself, and the Affine that this reader has to be from then on. None where no reader can.
    """
    if close(factor, 1.0):
        return node, None
    reader = sole_reader(graph, node.output)
    if reader is None or not isinstance(reader.operator, Affine):
        return None
    found = uniform(reader)
    if found is not None and found[1] == 0 and close(found[0] * factor, 1.0):
        return reader, None
    with np.errstate(over="ignore"):
        weight = (reader.operator.weight * factor).astype(np.float32)
    if not np.isfinite(weight).all():
        return None
    return node, replace(reader.operator, weight=weight)


def replaced(graph: Graph, matches: Iterable[Match]) -> Graph:
    """Return the graph with each match as one node; parts that others read stay."""
    last = {match.last.name: match for match in matches}
    after = {
        reader.name: match.after
        for match in last.values()
        for reader in graph.consumers[match.last.output]
        if match.after is not None
    }
    nodes = []
    for node in graph.nodes:
        match = last.get(node.name)
        if match is not None:
            nodes.append(replace(node, operator=match.operator, inputs=(match.source,)))
        else:
            nodes.append(replace(node, operator=after.get(node.name, node.operator)))
    gone = {part.name for match in last.values() for part in match.parts} - set(last)
    read = graph.with_nodes(nodes).consumers
    kept = []
    for node in reversed(nodes):
        # Backwards: a part goes when all that read it have gone.
        still = [reader for reader in read[node.output] if reader.name not in gone]
        if node.name in gone and (still or node.output in graph.outputs):
            gone.discard(node.name)
        if node.name not in gone:
            kept.append(node)
    return graph.with_nodes(reversed(kept))
