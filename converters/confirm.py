"""See that the Graph computes what the source file computes, before anything is built on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from converters.errors import ConvertError
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from edge.backends.base import brief
from edge.tensors import F32, Array

# Folding BatchNormalization and another order of sums move a float32 network by some 1e-6 of its
# largest output; a misread operator moves it by far more.
TOLERANCE = 1e-3
SEED = 0


def confirm(graph: Graph, path: Path) -> int:
    """Run both on one random input, and return the batch that the source demands.

    A source with a fixed batch above 1 gets that input as often as it wants.
    Raises: ConvertError: ONNX Runtime cannot run the source, or the outputs differ.
    """
    random = np.random.default_rng(SEED)
    x = random.uniform(-1, 1, graph.input_shape).astype(np.float32)
    batch, expected = _run_source(path, graph.input, x)
    found = _session(write_float(graph).SerializeToString()).run(None, {graph.input: x})[0]
    largest = float(np.abs(expected).max())
    apart = float(np.abs(found.reshape(-1) - expected.reshape(-1)).max())
    # Written so that NaN, which compares false with everything, fails.
    if not apart <= TOLERANCE * largest:
        raise ConvertError(
            f"{path}: the model was not understood: read as a graph, its output is {apart:.3g} off "
            f"where the largest is {largest:.3g}. Nothing was written; please report the model"
        )
    return batch


def _run_source(path: Path, name: str, x: F32) -> tuple[int, Array]:
    """Return the batch that the source demands, and what it makes of one of the pictures.

    One model at a time is open: each takes its weights' memory once or twice.
    """
    try:
        source = _session(str(path))
        batch = source.get_inputs()[0].shape[0]
        batch = batch if isinstance(batch, int) else 1
        return batch, source.run(None, {name: np.repeat(x, batch, axis=0)})[0][:1]
    except Exception as cause:  # its errors have no root of their own
        raise ConvertError(f"{path}: ONNX Runtime cannot run it ({brief(cause)})") from cause


def _session(model: str | bytes) -> Any:  # noqa: ANN401 (onnxruntime has no types)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised as well
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
