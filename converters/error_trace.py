"""What each rounding of a network does to its scores, by itself: the rest is float.

Every rounding is counted once, at the node that does it, the picture's at a node of its own. To
first order the errors add up to that of the quantized network; their energies do as far as they
have nothing in common. Where biases were corrected a layer's mean is float's, whatever is rounded
before it: so the mean of its weights' error is no loss, and the correction itself is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np

from calibration.progress import Progress
from converters.cost import products
from converters.graph import Node
from converters.operators import Requantize
from converters.own_biases import with_own_biases
from converters.quantize.quantized import QuantizedGraph
from converters.quantize.second_order import F64
from converters.stretch import Loss, Stretch, Values
from edge.tensors import F32

# So often the rest of the network is opened anew: a run takes the longer the earlier it begins, and
# to open it takes as long as some runs.
STRETCHES = 6
PICTURES = 8
# What all runs of a conversion that was not asked for more may take, as `products` counts: a second
# of two cores, in which a MobileNetV2 of 224 x 224 pixels is traced on two pictures.
BUDGET = 1 << 37
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Traced:
    """What the roundings of `node` do, in sums of squares over the pictures.

    At its output: `signal` of float's value, and of the errors of a Loss `alone`, `weights` and
    `activations`. At the scores: `by_weights`, `by_output`, and both `together`.
    """

    node: Node
    signal: float
    alone: float
    weights: float
    activations: float
    by_weights: float
    by_output: float
    together: float

    @classmethod
    def of(cls, node: Node, losses: Sequence[Loss]) -> Traced:
        """Return the sums over what is lost on each picture."""
        each = (
            (
                loss.signal,
                loss.alone,
                loss.weights,
                loss.activations,
                _energy(loss.scores_by_weights),
                _energy(loss.scores_by_output),
                _energy(loss.scores_by_weights + loss.scores_by_output),
            )
            for loss in losses
        )
        return cls(node, *map(math.fsum, zip(*each, strict=True)))


def affordable(quantized: QuantizedGraph) -> int:
    """Return the number of pictures, at most PICTURES, that a network is quickly traced on."""
    runs, costs = _work(_with_input(quantized))
    cost = sum(sum(runs[i:k]) * sum(costs[i:]) for i, k in _stretches(runs, costs))
    return min(PICTURES, BUDGET // cost)


def trace_errors(
    quantized: QuantizedGraph, pictures: Sequence[F32], progress: Progress
) -> list[Traced]:
    """Return what every node with an int8 output does, in order, and first what the picture does.

    Args: pictures: float32 [1, C, H, W], a few.
    """
    network = _with_input(with_own_biases(quantized, pictures))
    graph = network.graph
    found: list[Traced] = []
    stretches = _stretches(*_work(network))

    def passes(pool: ThreadPoolExecutor) -> Iterator[None]:
        held: list[Values] = [{graph.input: np.ascontiguousarray(x)} for x in pictures]
        for start, stop in stretches:
            stretch = Stretch(network, start, stop)
            losses: list[list[Loss]] = []
            for index, (values, more) in enumerate(pool.map(stretch.run, held)):
                held[index] = values
                losses.append(more)
                yield
            of_node = zip(*losses, strict=True)
            found.extend(map(Traced.of, stretch.nodes, of_node))
            del stretch  # its sessions, before the next ones are opened

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="trace") as pool:
        count = len(stretches) * len(pictures)
        for _ in progress(passes(pool), count, "tracing the error"):
            pass
    return found


def _energy(error: F64) -> float:
    return float(np.vdot(error, error))


def _with_input(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the network with a node more, which makes its input of the picture."""
    graph = quantized.graph
    picture = f"{graph.input} picture"
    first = Node(picture, Requantize(), (picture,), graph.input)
    inputs = {picture: graph.input_shape}
    return replace(quantized, graph=replace(graph, inputs=inputs, nodes=(first, *graph.nodes)))


def _work(network: QuantizedGraph) -> tuple[list[int], list[int]]:
    """Return how many runs each node is traced with, and what it costs in each run."""
    graph = network.graph
    runs = [1 + (node.name in network.weights) for node in graph.nodes]
    return runs, [products(graph, node) for node in graph.nodes]


def _stretches(runs: Sequence[int], costs: Sequence[int]) -> list[tuple[int, int]]:
    """Return the ends of up to STRETCHES parts of the network.

    The runs of a part's later nodes begin too early: they cost about half of its runs times its
    products more. All parts together do so least where each has as much of the root of both.
    """
    done = list(accumulate(math.sqrt(r * cost) for r, cost in zip(runs, costs, strict=True)))
    wanted = (done[-1] * part / STRETCHES for part in range(1, STRETCHES))
    ends = {1 + next(i for i, one in enumerate(done) if one >= least) for least in wanted}
    return list(pairwise(sorted({0, *ends, len(done)})))
