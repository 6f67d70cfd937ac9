"""Round once, not before and behind a clamp, where both roundings are the same."""

from __future__ import annotations

from dataclasses import replace

from converters.graph import Graph, Node, PassResult
from converters.operators import Clamp, Requantize
from converters.passes.match import sole_reader


def fold_rounding(graph: Graph) -> PassResult:
    """Drop each Requantize that only a Clamp reads behind which the very same one stands.

    Tools that observe a convolution before its ReLU6 write it so. As rounding keeps the order of
    numbers, and leaves alone what is rounded already, the integers are the same without the first
    one; and the clamp then is the convolution's own.
    """
    gone: dict[str, str] = {}  # what such a node makes, and what it reads
    changed, left = [], []
    for node in graph.nodes:
        clamp = sole_reader(graph, node.output) if isinstance(node.operator, Requantize) else None
        if clamp is None or not isinstance(clamp.operator, Clamp):
            continue
        if all(
            reader is not None and reader.operator == node.operator
            for reader in _readers(graph, clamp)
        ):
            gone[node.output] = node.inputs[0]
            changed.append(f"{node.name} before {clamp.name}")
        else:
            left.append(f"{node.name}: {clamp.name} behind it is not rounded to the same integers")
    nodes = [
        replace(node, inputs=tuple(gone.get(name, name) for name in node.inputs))
        for node in graph.nodes
        if node.output not in gone
    ]
    return PassResult(graph.with_nodes(nodes), tuple(changed), tuple(left))


def _readers(graph: Graph, node: Node) -> tuple[Node | None, ...]:
    """Return what reads a node's output; None where the graph gives it away."""
    readers = tuple(graph.consumers[node.output])
    return readers if readers and node.output not in graph.outputs else (None,)
