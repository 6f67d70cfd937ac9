"""Better integers for the weights and biases of a quantized network, layer after layer.

The network is walked once in order, in its own integers, over some pictures. Each layer sees what
the layers before it, already refined, really give it. First its weights are rounded so that their
errors undo each other on those inputs; then its bias is moved until the output's mean is that of
the float network, channel by channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from converters.calibrate import SLOTS, FloatGraph, run_ahead
from converters.cost import most_held
from converters.graph import Node
from converters.onnx_qdq.node_session import NodeSession, is_inner, sources
from converters.operators import Conv, Gemm, clamp_of
from converters.quantize.quantized import QuantizedGraph, QuantizedWeights
from converters.quantize.second_order import F64, round_weights, second_moments, shrunk, shrunk_mean
from converters.quantize.weights import SUM_LIMIT
from converters.quantize.windows import groups_of, windows
from edge.tensors import F32, Array

# What all pictures take at the widest place of the network; it sets how many there are.
HELD_BYTES = 1 << 28
MOST_PICTURES = 128
# Second moments are estimated from so many windows.
WINDOWS = 4096
# A matrix of as many inputs squared is inverted; a larger layer is rounded to nearest.
MOST_INPUTS = 2048
# A bias moves the mean behind a clamp by the share of outputs that are not clamped. Where few are
# not, the mean is off for another reason too: noise before a ReLU raises the mean behind it. A bias
# that made up for that would move the few outputs that count.
LEAST_OPEN = 0.5
CORRECTIONS = 2
WORKERS = 2
# Their sum fits int32.
MOST_BYTES = (2**31 - 1) // 255


@dataclass(frozen=True, slots=True)
class Steps:
    """What is done to each layer.

    `most_inputs`: a layer whose sums have more of them is rounded to nearest all the same.
    """

    rounding: bool = True
    biases: bool = True
    most_inputs: int = MOST_INPUTS


def refine(quantized: QuantizedGraph, inputs: Iterable[F32], steps: Steps) -> QuantizedGraph:
    """Return the network with the same scales and better integers.

    Args: inputs: float32 [1, C, H, W], as in calibration; the first of them are taken, as many as
        HELD_BYTES allows.
    """
    graph = quantized.graph
    floats = graph.shapes.keys() - quantized.activations.keys()
    count = max(1, min(MOST_PICTURES, HELD_BYTES // most_held(graph, floats)))
    pictures = list(islice(inputs, count))
    means = _float_means(quantized, pictures) if steps.biases else {}
    walk = _Walk(quantized, pictures)
    for node in graph.nodes:
        if is_inner(quantized, node):
            continue
        layer = node.operator if node.name in quantized.weights else None
        if steps.rounding and isinstance(layer, Conv | Gemm):
            walk.round(node, layer, steps.most_inputs)
        output = walk.run(node)
        for _ in range(CORRECTIONS):
            if node.output not in means or not walk.correct(node, output, means[node.output]):
                break
            output = walk.run(node)
        walk.keep(node, output)
    return walk.quantized


def _float_means(quantized: QuantizedGraph, pictures: Iterable[F32]) -> Mapping[str, F64]:
    """Return float64 [N, channels]: each picture's means of what every layer makes, as floats.

    They are those of the values within the integers' range: what is cut off there cannot be made
    up for by moving all others.
    """
    graph = quantized.graph
    nodes = [
        node
        for node in graph.nodes
        if isinstance(node.operator, Conv | Gemm) and node.name in quantized.weights
    ]
    runner = FloatGraph(graph, [node.output for node in nodes], SLOTS)
    means: dict[str, list[F64]] = {node.output: [] for node in nodes}
    for found in run_ahead(runner, pictures):
        for node in nodes:
            params = quantized.activations[node.output]
            within = np.clip(found[node.output], params.low, params.high)
            means[node.output].append(_channel_means(node, within[None]))
    return {name: np.concatenate(rows) for name, rows in means.items()}


def _channel_means(node: Node, values: Array) -> F64:
    """Return float64 [N, channels] of what a Conv [N, B, C, H, W] or a Gemm [N, ..., C] makes."""
    means: F64
    if isinstance(node.operator, Conv):
        count = math.prod(values.shape[3:])
        sums = _row_sums(values.reshape(-1, count)).reshape(values.shape[:3])
        means = sums.mean(axis=1) / count
    else:
        means = values.mean(axis=tuple(range(1, values.ndim - 1)), dtype=np.float64)
    return means


def _row_sums(rows: Array) -> F64:
    """Return float64 [R] of uint8 or float32 [R, n]. (OpenCV adds 3 to 15 times as fast.)"""
    exact = cv2.CV_32S if rows.dtype == np.uint8 and rows.shape[1] <= MOST_BYTES else cv2.CV_64F
    return cv2.reduce(rows, 1, cv2.REDUCE_SUM, dtype=exact).astype(np.float64).reshape(-1)


class _Walk:
    """The network as far as it is refined, and the integers that are still to be read."""

    def __init__(self, quantized: QuantizedGraph, pictures: list[F32]) -> None:
        graph = quantized.graph
        self.weights = dict(quantized.weights)
        self.quantized = QuantizedGraph(graph, quantized.activations, self.weights)
        spec = quantized.activations[graph.input].spec(graph.input, graph.input_shape, "uint8")
        self._integers = {graph.input: np.stack([spec.quantize(x) for x in pictures])}
        self._last = {name: node.name for node in graph.nodes for name in sources(quantized, node)}
        self._count = len(pictures)

    def run(self, node: Node) -> Array:
        """Return uint8 (float32 of a float node) [N, *shape]: what a node makes of what it reads.

        A shape need not begin with 1: attention within windows makes a batch of them.
        """
        session = NodeSession(self.quantized, node)
        shape = self.quantized.graph.shapes[node.output]
        is_integers = node.output in self.quantized.activations
        made = np.empty((self._count, *shape), np.uint8 if is_integers else np.float32)

        def one(picture: int) -> None:
            made[picture] = session.run(self._integers, picture)

        with ThreadPoolExecutor(WORKERS, thread_name_prefix="refine") as pool:
            list(pool.map(one, range(self._count)))
        return made

    def _means(self, node: Node, values: Array) -> F64:
        """Return `_channel_means` of uint8 [N, *shape], a part of the pictures on each worker."""
        parts = [part for part in np.array_split(values, WORKERS) if len(part)]
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="refine") as pool:
            return np.concatenate(list(pool.map(partial(_channel_means, node), parts)))

    def round(self, node: Node, operator: Conv | Gemm, most_inputs: int) -> None:
        """Round a layer's weights by the second moments of what it reads, where they are few."""
        old = self.weights[node.name]
        groups = groups_of(operator)
        weight = operator.weight.reshape(groups, len(operator.weight) // groups, -1)
        if weight.shape[-1] > most_inputs:
            return
        (source,) = sources(self.quantized, node)
        given = self.quantized.activations[node.inputs[0]]
        held = self._integers[source]
        held = held.reshape(-1, *held.shape[2:])
        read = windows(operator, held, given.zero_point[0] + 128, WINDOWS, 0)
        mean, moments = second_moments(read)
        scale = old.scales.astype(np.float64).reshape(weight.shape[:2])
        rounded = round_weights(
            weight.astype(np.float64), scale, shrunk(moments, samples=read.shape[1])
        )
        # The mean of the sums stays: it was left out of the moments.
        lost = np.einsum("gok,gk->go", weight - rounded * scale[:, :, None], mean) / scale
        self._replace(node, old, rounded.reshape(old.weight.shape), lost.reshape(-1))

    def correct(self, node: Node, output: Array, means: F64) -> bool:
        """Move a layer's bias so that its output's mean comes near to `means` [N, channels].

        Returns: whether it was moved: not by what the spread over the pictures explains as well.
        """
        params = self.quantized.activations[node.output]
        found = self._means(node, output) - (params.zero_point[0] + 128)
        mean = shrunk_mean(means - found * params.scale[0])
        if clamp_of(node.operator) is not None:
            within = cv2.inRange(output.reshape(self._count, -1), 1, 254)  # 255 where it is
            is_open = self._means(node, within.reshape(output.shape)).mean(axis=0) / 255
            mean /= np.maximum(is_open, LEAST_OPEN)
        old = self.weights[node.name]
        return self._replace(node, old, old.weight, mean / old.bias_scale)

    def keep(self, node: Node, output: Array) -> None:
        """Hold the output for whoever reads it, and let go of what nobody reads any more."""
        self._integers[node.output] = output
        for name in (*sources(self.quantized, node), node.output):
            if self._last.get(name) in (node.name, None):
                self._integers.pop(name, None)

    def _replace(
        self, node: Node, old: QuantizedWeights, weight: NDArray[np.int8], added: F64
    ) -> bool:
        """Take new weights, and a bias moved by `added` [O] steps, where no sum can overflow."""
        bias = old.bias + np.rint(added)
        new = replace(
            old, weight=weight, bias=np.clip(bias, -SUM_LIMIT, SUM_LIMIT - 1).astype(np.int32)
        )
        if new.largest_sum().max() >= SUM_LIMIT or not (
            np.any(new.bias != old.bias) or weight is not old.weight
        ):
            return False
        self.weights[node.name] = new
        return True
