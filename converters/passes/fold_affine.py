"""Fold a BatchNormalization (or any per-channel affine) into what gives its channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from converters.graph import Graph, Node, PassResult
from converters.operators import Affine, Conv, Gemm
from edge.tensors import F32


def fold_affine(graph: Graph) -> PassResult:
    """Multiply each output channel's weights by its gain: g (W x + b) + o = (g W) x + (g b + o).

    Two affines of one axis are one. Left alone: an affine whose producer is no convolution, Gemm or
    affine of that axis, already ends in a clamp, or is also read by somebody else; or where the
    product of both is infinite.
    """
    return _fold(graph, _why_not)


def fold_offset(graph: Graph) -> PassResult:
    """Add an offset to the biases of a convolution or Gemm, whose weights stay bit for bit.

    Left alone: what `fold_affine` leaves, and an affine that has a gain.
    """
    return _fold(graph, _why_not_offset)


def _fold(graph: Graph, why_not: Callable[[Graph, Node, Node | None], str | None]) -> PassResult:
    nodes: dict[str, Node] = {}  # by output, in order
    changed, left = [], []
    for node in graph.nodes:
        if isinstance(node.operator, Affine):
            (source,) = node.inputs
            before = nodes.get(source)
            reason = why_not(graph, node, before)
            if reason is None and before is not None:
                operator = before.operator
                assert isinstance(operator, Affine | Conv | Gemm)  # noqa: S101 (_why_not checked it)
                joined = folded(operator, node.operator)
                if _is_finite(joined) or not _is_finite(operator):
                    del nodes[source]
                    nodes[node.output] = replace(before, operator=joined, output=node.output)
                    changed.append(f"{node.name} into {before.name}")
                    continue
                reason = f"its product with {before.name} is infinite"
            left.append(f"{node.name}: {reason}")
        nodes[node.output] = node
    return PassResult(graph.with_nodes(nodes.values()), tuple(changed), tuple(left))


def folded(operator: Affine | Conv | Gemm, affine: Affine) -> Affine | Conv | Gemm:
    """Return `operator` followed by `affine` as one operator, computed in float64."""
    gain = affine.weight.astype(np.float64)
    with np.errstate(over="ignore"):  # what becomes infinite is not taken
        bias = (operator.bias * gain + affine.bias).astype(np.float32)
        if isinstance(operator, Affine):
            weight = (operator.weight * gain).astype(np.float32)
            return replace(affine, weight=weight, bias=bias)
        return replace(operator, weight=scale_channels(operator.weight, gain), bias=bias)


def scale_channels(weight: F32, gain: np.typing.NDArray[np.float64]) -> F32:
    """Return a new kernel with each output channel (axis 0) multiplied by its gain [O]."""
    scaled: F32 = (weight * gain.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.float32)
    return scaled


def _is_finite(operator: Affine | Conv | Gemm) -> bool:
    return bool(np.isfinite(operator.weight).all() and np.isfinite(operator.bias).all())


def _why_not(graph: Graph, node: Node, before: Node | None) -> str | None:
    if before is None or not isinstance(before.operator, Affine | Conv | Gemm):
        return f"{before.kind if before else 'the input'} before it has no weights"
    assert isinstance(node.operator, Affine)  # noqa: S101 (the caller checked it)
    if node.operator.axis != _channel_axis(before.operator, len(graph.shapes[node.output])):
        return f"it is along another axis than the channels of {before.name}"
    if not isinstance(before.operator, Affine) and before.operator.clamp is not None:
        return f"{before.name} ends in a clamp"
    if not graph.is_only_read_by(node.inputs[0], node):
        return f"the output of {before.name} is read elsewhere too"
    return None


def _why_not_offset(graph: Graph, node: Node, before: Node | None) -> str | None:
    assert isinstance(node.operator, Affine)  # noqa: S101 (the caller checked it)
    if (node.operator.weight != 1).any():
        return "it has a gain, which would change weights that are given"
    return _why_not(graph, node, before)


def _channel_axis(operator: Affine | Conv | Gemm, rank: int) -> int:
    if isinstance(operator, Affine):
        return operator.axis
    return 1 if isinstance(operator, Conv) else rank - 1
