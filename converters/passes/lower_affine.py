"""Write an affine that nothing before it could take as what it is: a 1x1 depthwise convolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from converters.graph import Graph, PassResult
from converters.operators import Affine, Conv, Gemm


def lower_affine(graph: Graph) -> PassResult:
    """Replace each Affine by a depthwise 1x1 Conv (on pixels) or a diagonal Gemm (on vectors).

    Both compute the very same products and sums, and both have int8 kernels everywhere.
    """
    nodes, changed = [], []
    for node in graph.nodes:
        if isinstance(node.operator, Affine):
            gain, offset = node.operator.gain, node.operator.offset
            rank = len(graph.shapes[node.output])
            operator: Conv | Gemm
            if rank == 4:
                channels = gain.shape[0]
                operator = Conv(gain.reshape(-1, 1, 1, 1), offset, groups=channels)
            else:
                operator = Gemm(np.diag(gain), offset)
            nodes.append(replace(node, operator=operator))
            changed.append(f"{node.name} as {type(operator).__name__}")
        else:
            nodes.append(node)
    return PassResult(graph.with_nodes(nodes), tuple(changed))
