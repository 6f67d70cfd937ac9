"""What an artifact was spared by the channels that were removed: work, bytes and time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from converters.graph import Graph
from converters.operators import Conv, Gemm, Weighted, multiply_adds
from converters.quantize.quantized import QuantizedGraph
from edge.backends import open_model

# Rounds of one inference of each: a median of so many tells 1 % apart, and more takes too long.
MIN_ROUNDS, MAX_ROUNDS = 9, 100
LONGEST_NS = 200_000_000

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Change(Generic[Number]):
    """A figure with all channels, and with those that are left."""

    before: Number
    after: Number

    @property
    def share(self) -> float:
        """What is saved, of 1; below 0 where it got more."""
        return 1 - self.after / self.before if self.before else 0.0


@dataclass(frozen=True, slots=True)
class Saving:
    """What was saved. `channels` are those of each layer that lost some, by its name.

    `multiply_adds` are those of one inference; `constant_bytes` of the weights and biases in the
    file; `inference_ms` are medians of the artifact `kind` ("tflite" or "onnx") here, on one
    thread, None where the file with all channels could not be made.
    """

    channels: dict[str, Change[int]]
    multiply_adds: Change[int]
    constant_bytes: Change[int]
    kind: str
    inference_ms: Change[float] | None


def saving(
    whole: QuantizedGraph | Graph,
    left: QuantizedGraph | Graph,
    kind: str,
    times_ms: Change[float] | None,
    *,
    half: bool,
) -> Saving:
    """Count what was saved from `whole` to `left`, which have the same nodes."""
    before, after = graph_of(whole), graph_of(left)
    channels = {
        old.output: Change(len(old.operator.weight), len(new.operator.weight))
        for old, new in zip(before.nodes, after.nodes, strict=True)
        if isinstance(old.operator, Conv | Gemm)
        and isinstance(new.operator, Conv | Gemm)
        and len(new.operator.weight) < len(old.operator.weight)
    }
    return Saving(
        channels,
        Change(all_multiply_adds(before), all_multiply_adds(after)),
        Change(*(all_constant_bytes(one, half=half) for one in (whole, left))),
        kind,
        times_ms,
    )


def graph_of(subject: QuantizedGraph | Graph) -> Graph:
    return subject if isinstance(subject, Graph) else subject.graph


def all_multiply_adds(graph: Graph) -> int:
    """Return the multiply-adds of one inference."""
    return sum(multiply_adds(node.operator, graph.shapes[node.output]) for node in graph.nodes)


def all_constant_bytes(subject: QuantizedGraph | Graph, *, half: bool = False) -> int:
    nodes = graph_of(subject).nodes
    return sum(
        constant_bytes(subject, node.name, node.operator, half=half)
        for node in nodes
        if isinstance(node.operator, Weighted)
    )


def constant_bytes(
    subject: QuantizedGraph | Graph, name: str, operator: Weighted, *, half: bool
) -> int:
    """Return how many bytes a node's weight and bias take in the artifacts.

    Args: half: the weights that are not quantized are float16.
    """
    if isinstance(subject, QuantizedGraph) and name in subject.weights:
        weights = subject.weights[name]
        return weights.weight.nbytes + weights.bias.nbytes
    return operator.weight.nbytes // (2 if half else 1) + operator.bias.nbytes


def compare_times(before: Path, after: Path, scores: str = "") -> Change[float]:
    """Return the medians, in ms, of some inferences of two files, one at a time and in turn.

    Raises: EdgeError: a file cannot be opened or run.
    """
    backends = [open_model(path, threads=1, scores=scores) for path in (before, after)]
    try:
        times = _in_turn([backend.run for backend in backends])
    finally:
        for backend in backends:
            backend.close()
    return Change(*(statistics.median(some) / 1e6 for some in times))


def _in_turn(runs: list[Callable[[], object]]) -> list[list[int]]:
    """Return how long each run took in each round, in ns; who begins changes."""
    for run in runs:
        run()
    times: list[list[int]] = [[] for _ in runs]
    started_ns = time.monotonic_ns()
    order = list(range(len(runs)))
    for done in range(MAX_ROUNDS):
        if done >= MIN_ROUNDS and time.monotonic_ns() - started_ns > LONGEST_NS:
            break
        for index in order:
            start_ns = time.monotonic_ns()
            runs[index]()
            times[index].append(time.monotonic_ns() - start_ns)
        order.reverse()
    return times
