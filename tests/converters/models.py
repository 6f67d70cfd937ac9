"""Tiny ONNX models as text, and the runtimes that say what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, parser

from converters.graph import Graph
from converters.onnx_import.importer import import_onnx
from converters.onnx_qdq.writer import write_float
from converters.passes.lower_affine import lower_affine
from edge.tensors import F32, Array

IMAGE = "float[1,3,8,8]"


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0, spread: float = 1.0) -> F32:
    """Return float32 normal numbers."""
    return rng(seed).normal(0, spread, shape).astype(np.float32)


def f32(values: object) -> F32:
    return np.asarray(values, np.float32)


def int64(*values: int) -> Array:
    return np.asarray(values, np.int64)


Constants: TypeAlias = dict[str, Any]


def build(
    body: str,
    x: str = IMAGE,
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    **constants: Array,
) -> onnx.ModelProto:
    """Return a model of one input `x` (ONNX's text form, e.g. "float[N,3,8,8]") and float outputs.

    `body`: nodes in ONNX's text form; `constants` become initializers.
    """
    graph = parser.parse_graph(f"tiny ({x} x) => () {{ {body} }}")
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs
    )
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="tests"
    )


def session(model: onnx.ModelProto, **config: str) -> onnxruntime.InferenceSession:
    """Return a single-threaded, silent session; `config`: session configuration entries."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for key, value in config.items():
        options.add_session_config_entry(key.replace("__", "."), value)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(model: onnx.ModelProto, x: Array, **config: str) -> list[Array]:
    """Return the outputs of `model`, which has one input, in ONNX Runtime."""
    opened = session(model, **config)
    outputs: list[Array] = opened.run(None, {opened.get_inputs()[0].name: x})
    return outputs


def imported(model: onnx.ModelProto) -> Graph:
    return import_onnx(model, "tiny.onnx")


def assert_same(
    model: onnx.ModelProto,
    *,
    spread: float = 3.0,
    batch: int = 1,
    whole: bool = False,
    rtol: float = 1e-5,
) -> Graph:
    """Import `model`, and hold the Graph against it in ONNX Runtime. Returns the Graph.

    `batch`: what the file demands; every picture of it must come out as from the Graph. `whole`:
    the outputs have no batch, and are compared as they are.
    """
    graph = imported(model)
    x = normal(batch, *graph.input_shape[1:], seed=1, spread=spread)
    written = write_float(lower_affine(graph).graph)
    expected = run(model, x)
    for index in range(batch):
        for theirs, ours in zip(expected, run(written, x[index : index + 1]), strict=True):
            # Both are float32: what differs is the order of sums of a few hundred products.
            theirs_one = theirs if whole else theirs[index : index + 1]
            np.testing.assert_allclose(ours, theirs_one, rtol=rtol, atol=1e-5 * spread)
            assert ours.shape == theirs_one.shape
    return graph
