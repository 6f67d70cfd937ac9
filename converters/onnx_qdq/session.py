"""Models that were just made, opened in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import onnxruntime

from converters.graph import Graph
from converters.memory import give_back
from converters.onnx_qdq.kernels import defaults_are_exact
from converters.onnx_qdq.writer import write_float
from edge.backends.onnx import EXACT_KERNELS
from edge.tensors import Array


class FloatSession(onnxruntime.InferenceSession):  # type: ignore[misc]  # it has no types
    """A session of `graph`, with `observed` values as outputs after its own.

    The weights are handed over where they lie: a serialized model would hold them twice more.
    """

    def __init__(
        self,
        graph: Graph,
        options: Any,  # noqa: ANN401 (onnxruntime has no types)
        observed: Sequence[str] = (),
    ) -> None:
        """Args: options: onnxruntime.SessionOptions of this session alone; it gets the weights."""
        weights: dict[str, Array] = {}
        model = write_float(graph, observed, weights).SerializeToString()
        # ONNX Runtime copies them, as documented; it must not matter here if one day it does not.
        self._weights = [
            onnxruntime.OrtValue.ortvalue_from_numpy(weight) for weight in weights.values()
        ]
        options.add_external_initializers(list(weights), self._weights)
        super().__init__(model, options, providers=["CPUExecutionProvider"])
        give_back()


def exact_session(model: onnx.ModelProto) -> Any:  # noqa: ANN401 (onnxruntime has no types)
    """Return a session of a quantized model that computes as an Arm board does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # a second thread mostly spins
    if not defaults_are_exact():
        options.add_session_config_entry(*EXACT_KERNELS)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
