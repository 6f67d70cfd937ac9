"""Where the error comes from: what each rounding of a network costs, without any training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from calibration.metrics import decibels
from calibration.progress import Progress
from converters.anatomy import OTHER, Place, anatomy
from converters.error_trace import trace_errors
from converters.judge import Judge
from converters.onnx_qdq.writer import write_network
from converters.quantize.quantized import QuantizedGraph
from converters.tensor_check import check_tensors
from edge.tensors import F32

INPUT = Place("input", OTHER)


@dataclass(frozen=True, slots=True)
class Row:
    """One node with an int8 output, or the picture itself.

    Ratios are in dB, inf where nothing is lost, -inf where there is no signal.

    At the node's output, against float's value: `alone_db` with the node alone in int8, which reads
    rounded values, has integer weights and rounds its output; `weights_db` with only its weights
    and bias so, None where it has none; `activations_db` with only what it reads and its output.
    A corrected bias is here one that keeps the layer's own mean (`own_biases.py`).
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


def measure_sensitivity(
    quantized: QuantizedGraph, pictures: Sequence[F32], progress: Progress
) -> Sensitivity:
    """Return what each rounding costs. Args: pictures: float32 [1, C, H, W], a few."""
    verdict = Judge(quantized.graph, pictures)(quantized)
    signal = float(verdict.signal.sum())
    # On these pictures, not on those of the verification: else nothing could be compared.
    checks = check_tensors(
        quantized, {"onnx": write_network(quantized).SerializeToString()}, pictures
    )
    cumulative = {check.name: check.sqnr_db.get("onnx") for check in checks}
    found = trace_errors(quantized, pictures, progress)
    total = math.fsum(one.by_weights + one.by_output for one in found)
    places = anatomy(quantized.graph)
    rows = tuple(
        Row(
            name=one.node.output,
            kind="Input" if place is INPUT else one.node.kind,
            block=place.block,
            part=place.part,
            alone_db=decibels(one.signal, one.alone),
            weights_db=decibels(one.signal, one.weights)
            if one.node.name in quantized.weights
            else None,
            activations_db=decibels(one.signal, one.activations),
            cumulative_db=cumulative.get(one.node.output),
            scores_db=decibels(signal, one.together),
            weights_share=one.by_weights / total if total else 0.0,
            activations_share=one.by_output / total if total else 0.0,
        )
        for one in found
        for place in (places.get(one.node.name, INPUT),)
    )
    return Sensitivity(rows, decibels(signal, total), verdict.sqnr_db, len(pictures))
