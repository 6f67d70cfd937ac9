"""Run the float graph over pictures and watch what range each value takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime

from calibration.observers import Observations, observe
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from converters.quantize.assign import observed_values
from edge.tensors import F32, Array


class FloatGraph:
    """The float graph in ONNX Runtime, with every named value as an output."""

    def __init__(self, graph: Graph, values: Sequence[str]) -> None:
        self.input = graph.input
        self.values = tuple(values)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Every activation leaves the session, so there is nothing for an arena to reuse; without
        # it each is freed as soon as its statistics are taken.
        options.enable_cpu_mem_arena = False
        # A second thread mostly spins: layers are short, and so are those who read the outputs.
        options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            write_float(graph, self.values).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )

    def run(self, x: F32) -> dict[str, Array]:
        """Return each value, float32, in ONNX's layout, for an input [1, C, H, W]."""
        if not self.values:  # to ONNX Runtime, no names mean all of them
            return {}
        outputs = self._session.run(list(self.values), {self.input: x})
        return dict(zip(self.values, outputs, strict=True))


def calibrate(graph: Graph, inputs: Iterable[F32]) -> Observations:
    """Return the histograms of every value that the quantizer needs a range for.

    Args: inputs: float32 [1, C, H, W], streamed: one is held at a time.
    Raises: ObserverError: a value is NaN or infinite.
    """
    values = observed_values(graph)
    return observe(values, _run_ahead(FloatGraph(graph, values), inputs))


def _run_ahead(session: FloatGraph, inputs: Iterable[F32]) -> Iterator[dict[str, Array]]:
    """Yield what each input gives, in order, while the next one runs beside whoever reads it."""
    with ThreadPoolExecutor(1, thread_name_prefix="float") as pool:
        running: Future[dict[str, Array]] | None = None
        for x in inputs:
            following = pool.submit(session.run, np.ascontiguousarray(x, np.float32))
            if running is not None:
                yield running.result()
            running = following
        if running is not None:
            yield running.result()
