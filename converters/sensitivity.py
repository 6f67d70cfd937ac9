"""Where the error comes from: what each rounding of a network costs, without any training.

Every rounding is counted once, at the node that does it, and the picture's is a row of its own. The
error of each goes through the float network to the scores. To first order the errors of all rows
add up to that of the quantized network; their energies do as far as they have nothing in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import onnx

from calibration.metrics import F64, centred_energies, decibels
from calibration.progress import Progress
from converters.anatomy import OTHER, Place, anatomy
from converters.calibrate import FloatGraph
from converters.cost import products
from converters.error_trace import Loss, Stretch, Values
from converters.graph import Graph, Node
from converters.onnx_qdq.session import exact_session
from converters.onnx_qdq.writer import write_network
from converters.operators import Requantize
from converters.quantize.quantized import QuantizedGraph
from converters.tensor_check import check_tensors
from edge.tensors import F32

# So often the rest of the network is opened anew: a run takes the longer the earlier it begins, and
# to open it takes as long as some runs.
STRETCHES = 6
PICTURES = 8
# What all runs of a conversion that was not asked for more may take, as `products` counts: a second
# of two cores, in which a MobileNetV2 of 224 x 224 pixels is traced on two pictures.
BUDGET = 1 << 37
WORKERS = 2
INPUT = Place("input", OTHER)


@dataclass(frozen=True, slots=True)
class Row:
    """One node with an int8 output, or the picture itself.

    Ratios are in dB, inf where nothing is lost, -inf where there is no signal.

    At the node's output, against float's value: `alone_db` with the node alone in int8, which reads
    rounded values, has integer weights and rounds its output; `weights_db` with only its weights
    and bias so, None where it has none; `activations_db` with only what it reads and its output.
    `cumulative_db` in the quantized network, where all before it is int8 too; None of the picture.

    At the scores, each picture's centred: `scores_db` with only its weights and its output rounded;
    `weights_share` and `activations_share` are of the noise of all rows there, together 1.
    """

    name: str
    kind: str
    block: str
    part: str
    alone_db: float
    weights_db: float | None
    activations_db: float
    cumulative_db: float | None
    scores_db: float
    weights_share: float
    activations_share: float

    @property
    def share(self) -> float:
        return self.weights_share + self.activations_share


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """`rows` in the order of the network, over `pictures`.

    `parts_db`: of the scores, with the noise of all rows added up; `measured_db`: of those of the
    quantized network, with exact kernels, on the same pictures.
    """

    rows: tuple[Row, ...]
    parts_db: float
    measured_db: float
    pictures: int

    def shares(self, of: Callable[[Row], str]) -> Mapping[str, float]:
        """Return what share of the noise the rows have together that `of` gives one name."""
        found: dict[str, float] = {}
        for row in self.rows:
            found[of(row)] = found.get(of(row), 0.0) + row.share
        return found


def affordable(quantized: QuantizedGraph) -> int:
    """Return the number of pictures, at most PICTURES, that a network is quickly traced on."""
    graph = _with_input(quantized).graph
    costs = [products(graph, node) for node in graph.nodes]
    runs = [1 + (node.name in quantized.weights) for node in graph.nodes]
    cost = sum(sum(runs[i:k]) * sum(costs[i:]) for i, k in _stretches(graph))
    return min(PICTURES, BUDGET // cost)


def measure_sensitivity(
    quantized: QuantizedGraph, pictures: Sequence[F32], progress: Progress
) -> Sensitivity:
    """Return what each rounding costs. Args: pictures: float32 [1, C, H, W], a few."""
    model = write_network(quantized)
    signal, noise = _energies(quantized, model, pictures)
    checks = check_tensors(quantized, {"onnx": model.SerializeToString()}, pictures)
    cumulative = {check.name: check.sqnr_db.get("onnx") for check in checks}
    network = _with_input(quantized)
    found = [(node, _Sums.of(losses)) for node, losses in _losses(network, pictures, progress)]
    total = math.fsum(sums.by_weights + sums.by_output for _, sums in found)
    places = {network.graph.nodes[0].name: INPUT, **anatomy(quantized.graph)}
    rows = tuple(
        Row(
            name=node.output,
            kind=node.kind if places[node.name] is not INPUT else "Input",
            block=places[node.name].block,
            part=places[node.name].part,
            alone_db=decibels(sums.signal, sums.alone),
            weights_db=decibels(sums.signal, sums.weights)
            if node.name in quantized.weights
            else None,
            activations_db=decibels(sums.signal, sums.activations),
            cumulative_db=cumulative.get(node.output),
            scores_db=decibels(signal, sums.together),
            weights_share=sums.by_weights / total if total else 0.0,
            activations_share=sums.by_output / total if total else 0.0,
        )
        for node, sums in found
    )
    return Sensitivity(rows, decibels(signal, total), decibels(signal, noise), len(pictures))


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of squares over pictures: at a node's output, and of what comes of it at the scores."""

    signal: float
    alone: float
    weights: float
    activations: float
    by_weights: float
    by_output: float
    together: float

    @classmethod
    def of(cls, losses: Sequence[Loss]) -> _Sums:
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
        return cls(*map(math.fsum, zip(*each, strict=True)))


def _energy(error: F64) -> float:
    return float(np.vdot(error, error))


def _energies(
    quantized: QuantizedGraph, model: onnx.ModelProto, pictures: Sequence[F32]
) -> tuple[float, float]:
    """Return the energies of the float scores, and of what the quantized network's are off by."""
    graph = quantized.graph
    runner = FloatGraph(graph, [graph.output])
    session = exact_session(model)
    given, made = (
        quantized.activations[name].spec(name, graph.shapes[name], "uint8")
        for name in (graph.input, graph.output)
    )
    signal = noise = 0.0
    for x in pictures:
        expected = runner.run(x)[graph.output].reshape(1, -1)
        (scores,) = session.run([graph.output], {graph.input: given.quantize(x)})
        more = centred_energies(expected, made.dequantize(scores).reshape(1, -1))
        signal, noise = signal + more[0], noise + more[1]
    return signal, noise


def _with_input(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the network with a node more, which makes its input of the picture."""
    graph = quantized.graph
    picture = f"{graph.input} picture"
    first = Node(picture, Requantize(), (picture,), graph.input)
    inputs = {picture: graph.input_shape}
    return replace(quantized, graph=replace(graph, inputs=inputs, nodes=(first, *graph.nodes)))


def _losses(
    network: QuantizedGraph, pictures: Sequence[F32], progress: Progress
) -> list[tuple[Node, list[Loss]]]:
    """Return the nodes with an int8 output, in order, each with its loss on every picture."""
    graph = network.graph
    found: list[tuple[Node, list[Loss]]] = []
    stretches = _stretches(graph)

    def passes(pool: ThreadPoolExecutor) -> Iterator[None]:
        held: list[Values] = [{graph.input: np.ascontiguousarray(x)} for x in pictures]
        for start, stop in stretches:
            stretch = Stretch(network, start, stop)
            losses: list[list[Loss]] = []
            for index, (values, more) in enumerate(pool.map(stretch.run, held)):
                held[index] = values
                losses.append(more)
                yield
            of_node = map(list, zip(*losses, strict=True))
            found.extend(zip(stretch.nodes, of_node, strict=True))
            del stretch  # its sessions, before the next ones are opened

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="sensitivity") as pool:
        count = len(stretches) * len(pictures)
        for _ in progress(passes(pool), count, "tracing the error"):
            pass
    return found


def _stretches(graph: Graph) -> list[tuple[int, int]]:
    """Return the ends of up to STRETCHES parts of the network that take as long as each other."""
    done = list(accumulate(products(graph, node) for node in graph.nodes))
    wanted = (done[-1] * part / STRETCHES for part in range(1, STRETCHES))
    ends = {1 + next(i for i, one in enumerate(done) if one >= least) for least in wanted}
    return list(pairwise(sorted({0, *ends, len(graph.nodes)})))
