"""Write a channel's gain and offset that nothing before it could take as a 1x1 convolution."""

from __future__ import annotations

from dataclasses import replace

from converters.graph import Graph, PassResult
from converters.operators import Affine, Conv


def lower_affine(graph: Graph) -> PassResult:
    """Replace each Affine along the channels of an image by a depthwise 1x1 Conv.

    It computes the very same products and sums, and has int8 kernels everywhere.
    """
    nodes, changed = [], []
    for node in graph.nodes:
        affine = node.operator
        if isinstance(affine, Affine) and affine.axis == 1 and len(graph.shapes[node.output]) == 4:
            weight = affine.weight.reshape(-1, 1, 1, 1)
            conv = Conv(weight, affine.bias, groups=len(affine.weight))
            nodes.append(replace(node, operator=conv))
            changed.append(f"{node.name} as Conv")
        else:
            nodes.append(node)
    return PassResult(graph.with_nodes(nodes), tuple(changed))
