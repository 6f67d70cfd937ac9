"""The roundings of a few nodes, one by one, and the way of each error to the scores.

What rounds is a node's weights, with its bias, and its output. A node is looked at as its kernel
computes: it reads the float network's values, rounded as they are for it. So what only moves
integers makes no error, and no rounding is counted twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime

from converters.graph import Graph, Node
from converters.onnx_qdq.session import FloatSession
from converters.operators import Add, Operator, Requantize, Shape, Weighted
from converters.quantize.quantized import QuantizedGraph
from converters.quantize.second_order import F64
from edge.tensors import F32, Array

# Else ONNX Runtime moves and merges the roundings that are to be looked at.
AS_WRITTEN = ("session.disable_quant_qdq", "1")

Values = Mapping[str, F32]  # by name


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """What one node's roundings do on one picture.

    Sums of squares at its output: `signal` of float's value; `alone` of the error that the node
    makes, of which by itself `weights` is by its weights and bias, and `activations` by what it
    reads and its output. At the scores, centred, float64 [classes]: the error by its weights and
    that by the rounding of its output.
    """

    signal: float
    alone: float
    weights: float
    activations: float
    scores_by_weights: F64
    scores_by_output: F64


class Stretch:
    """The nodes from `start` to `stop` of a network, and all that follows, in float.

    `nodes`: those with an int8 output.
    """

    def __init__(self, quantized: QuantizedGraph, start: int, stop: int) -> None:
        graph = quantized.graph
        part, rest = graph.nodes[start:stop], graph.nodes[start:]
        self.nodes = [node for node in part if node.output in quantized.activations]
        self._given, self._kept = _read(rest), _read(graph.nodes[stop:])
        given = {name: graph.shapes[name] for name in self._given}
        variants = tuple(_variants(quantized, part, self._given))
        only_read = {f"{value} rounded" for value in graph.shapes}
        self._made = [node.output for node in variants if node.output not in only_read]
        self._local = _session(Graph(graph.name, given, tuple(self._made), variants))
        self._output = graph.output
        self._classes = math.prod(graph.shapes[graph.output])
        # Behind the scores come nodes that serve another output.
        self._reaches = bool(self.nodes) and graph.output in {node.output for node in rest}
        if self._reaches:
            noises = {_noise(node.output): graph.shapes[node.output] for node in self.nodes}
            self._silence = {name: np.zeros(shape, np.float32) for name, shape in noises.items()}
            noisy = tuple(_noisy(rest, noises))
            self._rest = _session(Graph(graph.name, given | noises, (graph.output,), noisy))

    def run(self, values: Values) -> tuple[Values, list[Loss]]:
        """Return what is read behind this stretch, and the losses of `nodes`, in order.

        Args: values: of one picture, what is read from `start` on of what came before.
        """
        given = {name: values[name] for name in self._given}
        made = dict(zip(self._made, self._local.run(self._made, given), strict=True))
        quiet = self._scores(given, {}) if self._reaches else None

        def effect(value: str, error: F32) -> F64:
            if quiet is None or not error.any():
                return np.zeros(self._classes)
            # The difference of two numbers without a shape is none of an array's.
            scores = self._scores(given, {_noise(value): np.asarray(error)})
            # Scores that are no numbers any more, as behind 1 / 0, are lost: as if they were zero.
            return scores - quiet if np.isfinite(scores).all() else -quiet

        losses = []
        for value in (node.output for node in self.nodes):
            real, rounded = made[value], made[f"{value} read rounded"]
            read = weighted = _numbers(made[f"{value} read"], rounded)
            alone = rounded
            if f"{value} weighted" in made:
                alone = made[f"{value} weighted rounded"]
                weighted = _numbers(made[f"{value} weighted"], alone)
            by_weights = weighted - read
            losses.append(
                Loss(
                    signal=_energy(real),
                    alone=_energy(alone - real),
                    weights=_energy(by_weights),
                    activations=_energy(rounded - real),
                    scores_by_weights=effect(value, by_weights),
                    scores_by_output=effect(value, alone - weighted),
                )
            )
        everything = {**given, **made}
        return {name: everything[name] for name in self._kept}, losses

    def _scores(self, given: Values, noise: Values) -> F64:
        """Return the centred scores, float64 [classes], with noise on some values."""
        (scores,) = self._rest.run([self._output], {**given, **self._silence, **noise})
        flat = scores.reshape(-1).astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinite ones have no mean
            centred: F64 = flat - flat.mean()
        return centred


def _read(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """Return the values that some nodes read and do not make."""
    made = {node.output for node in nodes}
    return tuple(dict.fromkeys(x for node in nodes for x in node.inputs if x not in made))


def _variants(
    quantized: QuantizedGraph, part: tuple[Node, ...], given: Iterable[str]
) -> Iterator[Node]:
    """Yield the nodes, and what each makes of rounded values.

    Of a value v, "v rounded" is what its readers read, "v read" what its node makes of what it
    reads, and "v weighted" the same with its integer weights; both are rounded too. (Exporters put
    no spaces into names.)
    """
    params = quantized.activations

    def rounded(value: str, like: str) -> Iterator[Node]:
        if like in params:
            name = f"{value} rounded"
            yield Node(name, Requantize(params[like]), (value,), name)

    for name in given:
        yield from rounded(name, name)
    for node in part:
        yield node
        yield from rounded(node.output, node.output)
        inputs = tuple(f"{name} rounded" if name in params else name for name in node.inputs)
        operators = {"read": node.operator}
        if node.name in quantized.weights:
            operators["weighted"] = as_held(quantized, node)
        for variant, operator in operators.items():
            output = f"{node.output} {variant}"
            yield Node(f"{node.name} {variant}", operator, inputs, output)
            yield from rounded(output, node.output)


def as_held(quantized: QuantizedGraph, node: Node) -> Operator:
    """Return the operator of a node with weights, with the real values of its integers."""
    operator, held = node.operator, quantized.weights[node.name]
    assert isinstance(operator, Weighted)  # noqa: S101 (only such a node has integers)
    bias = (held.bias.astype(np.float64) * held.bias_scale).astype(np.float32)
    return replace(operator, weight=held.params.dequantize(held.weight), bias=bias)


def _noise(value: str) -> str:
    return f"{value} noise"


def _noisy(nodes: Iterable[Node], noises: Mapping[str, Shape]) -> Iterator[Node]:
    """Yield the nodes, with noise added to the values that have some."""
    for node in nodes:
        if _noise(node.output) not in noises:
            yield node
            continue
        clean = f"{node.output} clean"
        yield replace(node, output=clean)
        yield Node(f"{node.name} noise", Add(), (clean, _noise(node.output)), node.output)


def _session(graph: Graph) -> FloatSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # a second thread mostly spins
    options.add_session_config_entry(*AS_WRITTEN)
    return FloatSession(graph, options)


def _numbers(values: F32, rounded: F32) -> F32:
    """Return values, and what an int8 saturates at where they are infinite, or no numbers."""
    is_number = np.isfinite(values)
    return values if is_number.all() else np.where(is_number, values, rounded)


def _energy(values: Array) -> float:
    """Return the sum of squares of float32 values: in float32, which moves no dB that is shown."""
    return float(np.vdot(values, values))
