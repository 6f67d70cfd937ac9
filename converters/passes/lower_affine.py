"""Write a channel's gain and offset that nothing before it could take as a 1x1 convolution."""

from __future__ import annotations

from dataclasses import replace

from converters.graph import Graph, PassResult
from converters.operators import Affine, Conv, Shape


def lower_affine(graph: Graph) -> PassResult:
    """Replace each Affine along the channels of an image by a depthwise 1x1 Conv.

    It computes the very same products and sums, and has int8 kernels everywhere. One number for all
    channels, such as attention's scale, stays: it needs no axis, so that nothing moves for it.
    """
    nodes, changed = [], []
    for node in graph.nodes:
        affine = node.operator
        if isinstance(affine, Affine) and _is_image(affine, graph.shapes[node.output]):
            weight = affine.weight.reshape(-1, 1, 1, 1)
            conv = Conv(weight, affine.bias, groups=len(affine.weight))
            nodes.append(replace(node, operator=conv))
            changed.append(f"{node.name} as Conv")
        else:
            nodes.append(node)
    return PassResult(graph.with_nodes(nodes), tuple(changed))


def _is_image(affine: Affine, shape: Shape) -> bool:
    is_scale = affine.is_uniform and not affine.bias.any()
    return affine.axis == 1 and len(shape) == 4 and not is_scale
