"""Run the float graph over pictures and watch what range each value takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime

from calibration.observers import Observations, Observer
from converters.graph import Graph
from converters.onnx_qdq.session import FloatSession
from converters.operators import Shape
from converters.quantize.assign import observed_values
from edge.tensors import F32, Array

# One set of results is read while the next is computed.
SLOTS = 2


class FloatGraph:
    """The float graph in ONNX Runtime, with every named value as an output.

    Results lie in memory made once: to take new pages for some 30 MB of activations an image
    would cost as much time as computing them.
    """

    def __init__(self, graph: Graph, values: Sequence[str], slots: int = 1) -> None:
        self.values = tuple(values)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # A second thread mostly spins: layers are short, and so are those who read the outputs.
        options.intra_op_num_threads = 1
        self._session: Any = FloatSession(graph, options, self.values)
        self._input = np.zeros(graph.input_shape, np.float32)
        shapes = {o.name: graph.shapes[o.name] for o in self._session.get_outputs()}
        self._slots = [self._bind(graph.input, shapes) for _ in range(slots)]
        self._turn = 0

    def _bind(self, given: str, shapes: Mapping[str, Shape]) -> tuple[Any, dict[str, Array]]:
        """Return a binding to memory of its own, and all of that memory by name.

        The runtime knows the memory by address alone: as long as the binding lives, so must every
        array, those of outputs that nobody asked for included.
        """
        binding = self._session.io_binding()
        memory: dict[str, Array] = {}
        tensors = [(binding.bind_input, given, self._input)]
        for name, shape in shapes.items():
            memory[name] = np.empty(shape, np.float32)
            tensors.append((binding.bind_output, name, memory[name]))
        for bind, name, array in tensors:
            bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return binding, memory

    def run(self, x: F32) -> dict[str, Array]:
        """Return each value, float32, in ONNX's layout, for an input [1, C, H, W].

        Ownership: this object's, valid until `run` was called `slots` times more.
        """
        self._input[...] = x
        binding, memory = self._slots[self._turn]
        self._turn = (self._turn + 1) % len(self._slots)
        self._session.run_with_iobinding(binding)
        return {name: memory[name] for name in self.values}


def calibrate(
    graph: Graph, inputs: Iterable[F32], note_scores: Callable[[F32], None] | None = None
) -> Observations:
    """Return the histograms of every value that the quantizer needs a range for.

    Args: inputs: float32 [1, C, H, W], streamed: one is held at a time; note_scores: is shown
        the classes' scores of each.
    Raises: ObserverError: a value is NaN or infinite.
    """
    observer = Observer(observed_values(graph))
    Calibrator(graph).observe(inputs, observer, note_scores)
    return observer.observations()


class Calibrator:
    """A float graph, opened to be observed as often as one likes."""

    def __init__(self, graph: Graph) -> None:
        self._scores = graph.output
        values = (*observed_values(graph), self._scores)
        self._session = FloatGraph(graph, tuple(dict.fromkeys(values)), SLOTS)

    def observe(
        self,
        inputs: Iterable[F32],
        observer: Observer,
        note_scores: Callable[[F32], None] | None = None,
    ) -> None:
        """Show `observer` every value, as `calibrate`. Raises: ObserverError."""
        for result in run_ahead(self._session, inputs):
            if note_scores is not None:
                note_scores(result[self._scores])
            observer.update(result)


def run_ahead(session: FloatGraph, inputs: Iterable[F32]) -> Iterator[dict[str, Array]]:
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
