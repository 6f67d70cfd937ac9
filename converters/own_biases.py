"""Biases for looking at one layer at a time.

A correction makes the mean of a layer what it is in float, with all that the layers before it lose.
By itself a layer has nothing of theirs to make up for: there the correction would be an error of
its own, and without any the layer would have a mean error that it has not in the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from converters.calibrate import FloatGraph
from converters.graph import Node
from converters.operators import Conv, Gemm, ReduceMean, Requantize
from converters.quantize.quantized import QuantizedGraph, QuantizedWeights
from converters.quantize.second_order import F64, shrunk_mean
from converters.quantize.weights import SUM_LIMIT
from edge.tensors import F32


def with_own_biases(quantized: QuantizedGraph, pictures: Sequence[F32]) -> QuantizedGraph:
    """Return the network with other biases where they were moved, to be looked at layer by layer.

    With such a bias a layer that reads float's values, rounded, has the mean that its float weights
    give it, channel by channel before it is clamped, as far as the pictures, float32 [1, C, H, W],
    tell; of one picture it is not known what is its own, and the bias is float's. Where all biases
    are, nothing was corrected, and nothing is changed.
    """
    moved = [node for node in quantized.graph.nodes if _is_moved(quantized, node)]
    if not moved:
        return quantized
    errors = _mean_errors(quantized, moved, pictures)
    weights = dict(quantized.weights)
    for node, rows in zip(moved, errors, strict=True):
        bias = _layer(node).bias
        if len(rows) > 1:
            kept = bias - shrunk_mean(rows)
            bias = np.where(np.isfinite(kept), kept, bias)
        held = weights[node.name]
        weights[node.name] = replace(held, bias=_nearest(bias, held))
    return replace(quantized, weights=weights)


def _layer(node: Node) -> Conv | Gemm:
    assert isinstance(node.operator, Conv | Gemm)  # noqa: S101 (no other bias is moved)
    return node.operator


def _is_moved(quantized: QuantizedGraph, node: Node) -> bool:
    held = quantized.weights.get(node.name)
    if held is None or not isinstance(node.operator, Conv | Gemm):
        return False
    return not np.array_equal(held.bias, _nearest(node.operator.bias, held))


def _nearest(bias: NDArray[np.floating], held: QuantizedWeights) -> NDArray[np.int32]:
    steps = np.rint(bias.astype(np.float64) / held.bias_scale)
    return np.clip(steps, -SUM_LIMIT, SUM_LIMIT - 1).astype(np.int32)


def _mean_errors(
    quantized: QuantizedGraph, nodes: Sequence[Node], pictures: Sequence[F32]
) -> list[F64]:
    """Return float64 [N, O] of each node: each picture's mean error by its weights alone."""
    graph = quantized.graph
    steps = [step for node in nodes for step in _mean_error(quantized, node)]
    means = [_mean(node) for node in nodes]
    runner = FloatGraph(graph.with_nodes([*graph.nodes, *steps]), means)
    found = [[row.reshape(-1).copy() for row in runner.run(x).values()] for x in pictures]
    return [np.asarray(rows, np.float64) for rows in zip(*found, strict=True)]


def _mean(node: Node) -> str:
    return f"{node.output} mean error"


def _mean_error(quantized: QuantizedGraph, node: Node) -> Iterator[Node]:
    """Yield what rounds what a node reads, makes of it the error by its weights, and its means."""
    layer, held = _layer(node), quantized.weights[node.name]
    (value,) = node.inputs
    read, error = f"{node.output} read", f"{node.output} error"
    yield Node(read, Requantize(quantized.activations[value]), (value,), read)
    apart = replace(
        layer,
        weight=held.params.dequantize(held.weight) - layer.weight,
        bias=np.zeros_like(layer.bias),
        clamp=None,
    )
    yield Node(error, apart, (read,), error)
    rank = len(quantized.graph.shapes[node.output])
    channel = 1 if isinstance(layer, Conv) else rank - 1
    others = tuple(axis for axis in range(rank) if axis != channel)
    yield Node(_mean(node), ReduceMean(others), (error,), _mean(node))
