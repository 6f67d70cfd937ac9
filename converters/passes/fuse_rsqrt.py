"""Divide by a square root by multiplying by its inverse, for which there is an int8 kernel."""

from __future__ import annotations

from dataclasses import replace

from converters.graph import Graph, Node, PassResult
from converters.operators import Div, Mul, Rsqrt, Sqrt
from converters.passes.remove_unused import remove_unused


def fuse_rsqrt(graph: Graph) -> PassResult:
    """Make a / sqrt(b), which a LayerNormalization in its parts holds, a * rsqrt(b).

    Left alone: a division by anything else.
    """
    nodes: list[Node] = []
    changed = []
    for node in graph.nodes:
        root = graph.producers.get(node.inputs[1]) if isinstance(node.operator, Div) else None
        if root is None or not isinstance(root.operator, Sqrt):
            nodes.append(node)
            continue
        inverse = f"{node.output}/inverse root"
        nodes.append(Node(f"{node.name}/inverse root", Rsqrt(), root.inputs, inverse))
        clamp = node.operator.clamp if isinstance(node.operator, Div) else None
        nodes.append(replace(node, operator=Mul(clamp), inputs=(node.inputs[0], inverse)))
        changed.append(f"{node.name} by {root.name}")
    kept = remove_unused(graph.with_nodes(nodes)).graph if changed else graph
    return PassResult(kept, tuple(changed))
