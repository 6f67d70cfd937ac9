"""See that the Graph computes what the source file computes, before anything is built on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from converters.cost import check_cost
from converters.errors import ConvertError
from converters.graph import Graph
from converters.memory import give_back
from converters.onnx_qdq.session import FloatSession
from converters.operators import Requantize
from edge.backends.base import brief
from edge.tensors import F32, Array

# Folding BatchNormalization and another order of sums move a float32 network by some 1e-6 of its
# largest output; a misread operator moves it by far more.
TOLERANCE = 1e-3
# In a quantized network such a difference tips a few values that lie between two integers, which
# moves what follows by a step or so.
QUANTIZED_TOLERANCE = 0.02
QUANTIZED_STEPS = 2
SEED = 0


def confirm(graph: Graph, path: Path, reference: bytes | None = None) -> int:
    """Run both on one random input, and return the batch that the source demands.

    A source with a fixed batch above 1 gets that input as often as it wants.
    Args: path: of the source; reference: its content, where it was read as another.
    Raises: ConvertError: ONNX Runtime cannot run the source, or an output differs.
    """
    check_cost(graph, 1, str(path))
    is_quantized = any(isinstance(node.operator, Requantize) for node in graph.nodes)
    random = np.random.default_rng(SEED)
    x = 2 * random.random(graph.input_shape, np.float32) - 1
    batch, expected = _run_source(path, reference, graph, x)
    give_back()
    found = FloatSession(graph, _plain()).run(graph.outputs, {graph.input: x})
    give_back()
    for name, read, given in zip(graph.outputs, found, expected, strict=True):
        largest = float(np.abs(given).max()) if given.size else 0.0
        allowed = _allowed(graph, name, largest) if is_quantized else TOLERANCE * largest
        reason = _why_not(
            f"its output {name!r}" if graph.others else "its output", read, given, allowed
        )
        if reason is not None:
            raise ConvertError(f"{path}: {reason}")
    return batch


def _why_not(output: str, found: Array, expected: Array, allowed: float) -> str | None:
    """Return how what was read contradicts the source; None where it does not."""
    misread = f"the model was not understood: read as a graph, {output} is"
    advice = "Nothing was written; please report the model"
    if found.size != expected.size:
        return f"{misread} {list(found.shape)} where it is {list(expected.shape)}. {advice}"
    if not np.isfinite(expected).all():
        return (
            f"{output} for a picture of noise is NaN or infinite; the model was not trained or is "
            "damaged"
        )
    with np.errstate(invalid="ignore"):
        apart = float(np.abs(found.reshape(-1) - expected.reshape(-1)).max())
    # Written so that NaN, which compares false with everything, fails.
    if not apart <= allowed:
        largest = float(np.abs(expected).max())
        return f"{misread} {apart:.3g} off where the largest is {largest:.3g}. {advice}"
    return None


def _run_source(
    path: Path, reference: bytes | None, graph: Graph, x: F32
) -> tuple[int, list[Array]]:
    """Return the batch that the source demands, and what it makes of one of the pictures.

    One model at a time is open: each takes its weights' memory once or twice.
    """
    try:
        source = onnxruntime.InferenceSession(
            reference or str(path), _plain(), providers=["CPUExecutionProvider"]
        )
        batch = source.get_inputs()[0].shape[0]
        batch = batch if isinstance(batch, int) else 1
        check_cost(graph, batch, str(path))
        many = np.repeat(x, batch, axis=0) if batch > 1 else x
        given = source.run(None, {graph.input: many})
        # What has no axis is of all the pictures, which are one.
        return batch, [y[:1] if batch > 1 and y.ndim else y for y in given]
    except ConvertError:
        raise
    except Exception as cause:  # its errors have no root of their own
        raise ConvertError(f"{path}: ONNX Runtime cannot run it ({brief(cause)})") from cause


def _allowed(graph: Graph, output: str, largest: float) -> float:
    """Return how far off a quantized output may be whose largest value is `largest`."""
    last = graph.producers[output].operator
    params = last.params if isinstance(last, Requantize) else None
    step = params.scale[0] if params is not None else 0.0
    return QUANTIZED_TOLERANCE * largest + QUANTIZED_STEPS * step


def _plain() -> Any:  # noqa: ANN401 (onnxruntime has no types)
    """Return options for one run of a network as it is written."""
    options = onnxruntime.SessionOptions()
    # To rewrite a network takes longer than the one run, and its weights' memory once more. Fused
    # to kernels of integers, one quantized network is not the other to the last bit.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # what fails is raised as well
    options.enable_cpu_mem_arena = False  # for one run, it would only take more than is held
    return options
