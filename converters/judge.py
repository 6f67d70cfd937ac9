"""How far the scores of a quantized network, in its own integers, are from float's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from calibration.metrics import F64, centred_energies, decibels
from converters.calibrate import FloatGraph
from converters.graph import Graph
from converters.onnx_qdq.session import exact_session
from converters.onnx_qdq.writer import write_network
from converters.quantize.quantized import QuantizedGraph
from edge.tensors import F32

# What is better on a few pictures by less than this may well be worse on others.
STANDARD_ERRORS = 1
WORKERS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Energy of the float scores, and what a quantized network's are off by, float64 [pictures]."""

    signal: F64
    noise: F64

    @property
    def sqnr_db(self) -> float:
        return decibels(float(self.signal.sum()), float(self.noise.sum()))

    def is_better_than(self, other: Verdict, errors: float = STANDARD_ERRORS) -> bool:
        """Whether the noise is less in all, and so from picture to picture, beyond chance.

        Each picture counts by what share of its noise is gone, -1 to 1: else the few that are noisy
        anyhow would decide alone. The mean must be more than `errors` standard errors.
        """
        both = self.noise + other.noise
        less = np.divide(other.noise - self.noise, both, out=np.zeros_like(both), where=both > 0)
        error = less.std(ddof=1) / math.sqrt(less.size)
        # Written so that NaN is not better.
        return bool(self.noise.sum() < other.noise.sum() and less.mean() > errors * error)


class Judge:
    """Holds the float scores of some pictures."""

    def __init__(self, graph: Graph, pictures: Sequence[F32]) -> None:
        runner = FloatGraph(graph, [graph.output])
        self._pictures = pictures
        self._expected = [runner.run(x)[graph.output].reshape(1, -1).copy() for x in pictures]

    def __call__(self, quantized: QuantizedGraph) -> Verdict:
        """Return how far its scores are off, each picture's centred."""
        graph = quantized.graph
        session = exact_session(write_network(quantized))
        given, made = (
            quantized.activations[name].spec(name, graph.shapes[name], "uint8")
            for name in (graph.input, graph.output)
        )

        def off(x: F32, expected: F32) -> tuple[float, float]:
            (scores,) = session.run([graph.output], {graph.input: given.quantize(x)})
            return centred_energies(expected, made.dequantize(scores).reshape(1, -1))

        with ThreadPoolExecutor(WORKERS, thread_name_prefix="judge") as pool:
            energies = list(pool.map(off, self._pictures, self._expected))
        signal, noise = np.asarray(energies, np.float64).T
        return Verdict(signal, noise)
