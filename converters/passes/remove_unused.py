"""Drop nodes that no output depends on."""

from __future__ import annotations

from converters.graph import Graph, PassResult


def remove_unused(graph: Graph) -> PassResult:
    """Keep only the nodes from which an output can be reached."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    names = {node.name for node in kept}
    gone = tuple(node.name for node in graph.nodes if node.name not in names)
    return PassResult(graph.with_nodes(reversed(kept)), gone)
