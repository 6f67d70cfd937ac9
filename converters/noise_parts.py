"""What each rounding of a network does to its scores, alone: all others are left out.

The float network is walked once; from each node on it is run with what that node rounds. To first
order the noise of all roundings adds up to that of the quantized network, as far as they are
independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime

from calibration.metrics import centred_energies
from calibration.progress import Progress
from converters.graph import Graph, Node
from converters.onnx_qdq.session import FloatSession
from converters.operators import Constant, Conv, Gemm, Requantize, Weighted
from converters.quantize.keep_float import is_computing
from converters.quantize.quantized import QuantizedGraph
from edge.tensors import F32, Array

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Parts:
    """The noise of each rounding at the scores, as a share of the scores' energy.

    `own`, by node name: of its weights and bias, and of what it reads where that is brought to one
    scale; `values`, by the value that is rounded. What is in neither does nothing.
    """

    own: Mapping[str, float]
    values: Mapping[str, float]


def measure_parts(
    quantized: QuantizedGraph,
    pictures: Sequence[F32],
    progress: Progress,
    *,
    corrects_biases: bool,
) -> Parts:
    """Return what the roundings of every computing node do.

    Args: pictures: float32 [1, C, H, W], a few; corrects_biases: a layer's mean stays what it is in
        float, however its weights are rounded.
    """
    graph = quantized.graph
    walk = _Walk(graph, pictures)
    own: dict[str, float] = {}
    values: dict[str, float] = {}
    for node in progress(graph.nodes, len(graph.nodes), "tracing the error"):
        if is_computing(node):
            rounded = _rounding_what_it_reads(quantized, node)
            if corrects_biases:
                rounded[-1] = walk.with_same_mean(node, rounded[-1])
            if rounded != [node]:
                own[node.name] = walk.noise(rounded)
            values[node.output] = walk.noise(_rounding_what_it_makes(quantized, node))
        walk.step(node)
    return Parts(own, values)


def _rounding_what_it_reads(quantized: QuantizedGraph, node: Node) -> list[Node]:
    """Return a node with its weights rounded, behind what rounds its inputs for it alone."""
    nodes, inputs = [], list(node.inputs)
    for index, name in enumerate(inputs):
        maker = quantized.graph.producers.get(name)
        if maker is not None and isinstance(maker.operator, Requantize):
            inputs[index] = f"{name}/rounded"
            step = Requantize(quantized.activations[name])
            nodes.append(Node(f"{maker.name}/rounded", step, (name,), inputs[index]))
    operator = node.operator
    if isinstance(operator, Weighted) and node.name in quantized.weights:
        held = quantized.weights[node.name]
        bias = (held.bias * held.bias_scale).astype(np.float32)
        operator = replace(operator, weight=held.params.dequantize(held.weight), bias=bias)
    if operator is node.operator and not nodes:
        return [node]
    return [*nodes, replace(node, operator=operator, inputs=tuple(inputs))]


def _rounding_what_it_makes(quantized: QuantizedGraph, node: Node) -> list[Node]:
    exact = f"{node.output}/exact"
    step = Requantize(quantized.activations[node.output])
    return [replace(node, output=exact), Node(f"{node.name}/rounded", step, (exact,), node.output)]


class _Walk:
    """Holds, of each picture, the float values that are still to be read."""

    def __init__(self, graph: Graph, pictures: Sequence[F32]) -> None:
        self._graph = graph
        self._held: list[dict[str, Array]] = [{graph.input: x} for x in pictures]
        self._rest = list(graph.nodes)
        self._last = {name: node.name for node in graph.nodes for name in node.inputs}
        self._expected = self._run(graph.nodes, graph.output)

    def noise(self, instead: Sequence[Node]) -> float:
        """Return the noise at the scores with some nodes instead of the next one."""
        if self._graph.output in self._held[0]:
            return 0.0  # it is on the way to another output
        found = self._run([*instead, *self._rest[1:]], self._graph.output)
        pairs = zip(self._expected, found, strict=True)
        energies = [centred_energies(a.reshape(1, -1), b.reshape(1, -1)) for a, b in pairs]
        signal, noise = np.sum(energies, axis=0)
        return float(noise / signal) if signal else 0.0

    def with_same_mean(self, node: Node, rounded: Node) -> Node:
        """Return a layer with the bias that gives it each channel's mean of `node`'s."""
        old, new = node.operator, rounded.operator
        if old is new or not isinstance(old, Conv | Gemm) or not isinstance(new, Conv | Gemm):
            return rounded
        zeros = np.zeros_like(old.bias)
        apart = replace(old, weight=new.weight - old.weight, bias=zeros, clamp=None)
        errors = self._run([replace(node, operator=apart)], node.output)
        axis = 1 if isinstance(old, Conv) else errors[0].ndim - 1
        means = [np.moveaxis(error, axis, 0).reshape(zeros.size, -1).mean(1) for error in errors]
        bias = (old.bias - np.mean(means, axis=0)).astype(np.float32)
        return replace(rounded, operator=replace(new, bias=bias))

    def step(self, node: Node) -> None:
        """Go on behind the next node, which is `node`."""
        if isinstance(node.operator, Constant):
            made = [node.operator.value] * len(self._held)
        else:
            made = self._run([node], node.output)
        for held, value in zip(self._held, made, strict=True):
            held[node.output] = value
            for name in (*node.inputs, node.output):
                if self._last.get(name, node.name) == node.name and name != self._graph.output:
                    held.pop(name, None)
        self._rest.pop(0)

    def _run(self, nodes: Sequence[Node], value: str) -> list[Array]:
        """Return what `nodes` make of what is held, for each picture."""
        shapes = {name: held.shape for name, held in self._held[0].items()}
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        session = FloatSession(Graph(self._graph.name, shapes, (value,), tuple(nodes)), options)

        def one(held: Mapping[str, Array]) -> Array:
            made: Array = session.run([value], dict(held))[0]
            return made

        with ThreadPoolExecutor(WORKERS, thread_name_prefix="parts") as pool:
            return list(pool.map(one, self._held))
