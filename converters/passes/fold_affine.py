"""Fold a BatchNormalization (or any per-channel affine) into the convolution or Gemm before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from converters.graph import Graph, Node, PassResult
from converters.operators import Affine, Conv, Gemm
from edge.tensors import F32


def fold_affine(graph: Graph) -> PassResult:
    """Multiply each output channel's weights by its gain: g (W x + b) + o = (g W) x + (g b + o).

    Left alone: an affine whose producer is no convolution or Gemm, already ends in a clamp, or
    is also read by somebody else.
    """
    nodes: dict[str, Node] = {}  # by output, in order
    changed, left = [], []
    for node in graph.nodes:
        if isinstance(node.operator, Affine):
            (source,) = node.inputs
            before = nodes.get(source)
            reason = _why_not(graph, node, before)
            if reason is None and before is not None:
                operator = before.operator
                assert isinstance(operator, Conv | Gemm)  # noqa: S101 (_why_not checked it)
                del nodes[source]
                nodes[node.output] = replace(
                    before, operator=folded(operator, node.operator), output=node.output
                )
                changed.append(f"{node.name} into {before.name}")
                continue
            left.append(f"{node.name}: {reason}")
        nodes[node.output] = node
    return PassResult(graph.with_nodes(nodes.values()), tuple(changed), tuple(left))


def folded(operator: Conv | Gemm, affine: Affine) -> Conv | Gemm:
    """Return `operator` followed by `affine` as one operator, computed in float64."""
    gain = affine.gain.astype(np.float64)
    weight = scale_channels(operator.weight, gain)
    bias = (operator.bias * gain + affine.offset).astype(np.float32)
    return replace(operator, weight=weight, bias=bias)


def scale_channels(weight: F32, gain: np.typing.NDArray[np.float64]) -> F32:
    """Return a new kernel with each output channel (axis 0) multiplied by its gain [O]."""
    scaled: F32 = (weight * gain.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.float32)
    return scaled


def _why_not(graph: Graph, node: Node, before: Node | None) -> str | None:
    if before is None or not isinstance(before.operator, Conv | Gemm):
        return f"{before.kind if before else 'the input'} before it has no weights"
    if before.operator.clamp is not None:
        return f"{before.name} ends in a clamp"
    if not graph.is_only_read_by(node.inputs[0], node):
        return f"the output of {before.name} is read elsewhere too"
    return None
