"""See that the Graph computes what the source file computes, before anything is built on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from converters.cost import check_cost
from converters.errors import ConvertError
from converters.graph import Graph
from converters.memory import give_back
from converters.onnx_qdq.session import FloatSession
from converters.operators import Requantize
from converters.unrounded import unrounded, unrounded_source
from edge.backends.base import brief
from edge.tensors import F32, Array

# Folding BatchNormalization and another order of sums move a float32 network by some 1e-6 of its
# largest output; a misread operator moves it by far more.
TOLERANCE = 1e-3
# In a quantized network such a difference tips a few values that lie between two integers, which
# moves what follows by a step or so; where it is by more, what is not rounded has to be the same.
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
    found = _run(graph, x)
    allowed = (QUANTIZED_TOLERANCE, QUANTIZED_STEPS) if is_quantized else (TOLERANCE, 0)
    reason = _why_not(graph, found, expected, *allowed)
    if reason is not None and not (is_quantized and _is_same_unrounded(graph, path, reference, x)):
        raise ConvertError(f"{path}: {reason}")
    return batch


def _is_same_unrounded(graph: Graph, path: Path, reference: bytes | None, x: F32) -> bool:
    """Whether both compute the same where activations are not rounded.

    In a deep network the few values that tip may move the output by more than any bound.
    """
    model = onnx.load(path) if reference is None else onnx.load_model_from_string(reference)
    plain, gone = unrounded_source(model)
    _, expected = _run_source(path, plain.SerializeToString(), graph, x)
    read = unrounded(graph, gone)
    return _why_not(read, _run(read, x), expected, TOLERANCE, 1) is None


def _run(graph: Graph, x: F32) -> list[Array]:
    outputs: list[Array] = FloatSession(graph, _plain()).run(graph.outputs, {graph.input: x})
    give_back()
    return outputs


def _why_not(
    graph: Graph, found: list[Array], expected: list[Array], tolerance: float, steps: int
) -> str | None:
    """Return how what was read contradicts the source; None where it does not.

    Args: found, expected: the outputs of both; tolerance: of an output's largest value; steps: of
        the integers that an output is rounded to, for what may tip.
    """
    advice = "Nothing was written; please report the model"
    for name, read, given in zip(graph.outputs, found, expected, strict=True):
        output = f"its output {name!r}" if len(graph.outputs) > 1 else "its output"
        misread = f"the model was not understood: read as a graph, {output} is"
        if read.size != given.size:
            return f"{misread} {list(read.shape)} where it is {list(given.shape)}. {advice}"
        if not np.isfinite(given).all():
            return (
                f"{output} for a picture of noise is NaN or infinite; the model was not trained or "
                "is damaged"
            )
        largest = float(np.abs(given).max()) if given.size else 0.0
        with np.errstate(invalid="ignore"):
            apart = float(np.abs(read.reshape(-1) - given.reshape(-1)).max())
        # Written so that NaN, which compares false with everything, fails.
        if not apart <= tolerance * largest + steps * _step(graph, name):
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


def _step(graph: Graph, output: str) -> float:
    """Return the largest scale of the integers that an output is rounded to, 0 if it is not."""
    last = graph.producers[output].operator
    params = last.params if isinstance(last, Requantize) else None
    return max(params.scale) if params is not None else 0.0


def _plain() -> Any:  # noqa: ANN401 (onnxruntime has no types)
    """Return options for one run of a network as it is written."""
    options = onnxruntime.SessionOptions()
    # To rewrite a network takes longer than the one run, and its weights' memory once more. Fused
    # to kernels of integers, one quantized network is not the other to the last bit.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # what fails is raised as well
    options.enable_cpu_mem_arena = False  # for one run, it would only take more than is held
    return options
