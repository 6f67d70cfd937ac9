"""Each operator of a Graph as the ONNX nodes that it is: one function an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.errors import ConvertError
from converters.operators import (
    INFINITY,
    Add,
    AveragePool,
    Clamp,
    Conv,
    Gemm,
    GlobalAveragePool,
    MaxPool,
    Operator,
    Reshape,
    Softmax,
)
from edge.tensors import Array


class OnnxNodes:
    """Collects nodes and initializers while a graph is written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Array) -> str:
        """Add an initializer and return its name."""
        self.initializers[name] = numpy_helper.from_array(value, name)
        return name

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        """Add a node named after its output and return the output."""
        self.nodes.append(
            helper.make_node(
                op_type, inputs, [output], f"{op_type}:{output}", None, None, None, **attributes
            )
        )
        return output

    def clamp(self, clamp: Clamp, source: str, output: str) -> str:
        """Add a Relu or a Clip."""
        if clamp == Clamp(0.0, INFINITY):
            return self.add("Relu", [source], output)
        limits = [
            ""
            if np.isinf(limit)
            else self.constant(f"clamp/{limit!r}", np.asarray(limit, np.float32))
            for limit in (clamp.low, clamp.high)
        ]
        return self.add("Clip", [source, *limits], output)


# (nodes, operator, names of inputs, names of weight and bias where there are any, output)
Writer = Callable[[OnnxNodes, Any, Sequence[str], Sequence[str], str], None]


def _conv(
    nodes: OnnxNodes, conv: Conv, inputs: Sequence[str], constants: Sequence[str], output: str
) -> None:
    nodes.add(
        "Conv",
        [*inputs, *constants],
        output,
        kernel_shape=list(conv.kernel),
        strides=list(conv.strides),
        pads=list(conv.pads),
        dilations=list(conv.dilations),
        group=conv.groups,
    )


def _gemm(
    nodes: OnnxNodes, _: Gemm, inputs: Sequence[str], constants: Sequence[str], output: str
) -> None:
    nodes.add("Gemm", [*inputs, *constants], output, transB=1)


def _add(nodes: OnnxNodes, _: Add, inputs: Sequence[str], __: Sequence[str], output: str) -> None:
    nodes.add("Add", inputs, output)


def _clamp(
    nodes: OnnxNodes, clamp: Clamp, inputs: Sequence[str], _: Sequence[str], output: str
) -> None:
    nodes.clamp(clamp, inputs[0], output)


def _global_average_pool(
    nodes: OnnxNodes, _: GlobalAveragePool, inputs: Sequence[str], __: Sequence[str], output: str
) -> None:
    nodes.add("GlobalAveragePool", inputs, output)


def _pool(
    nodes: OnnxNodes,
    pool: AveragePool | MaxPool,
    inputs: Sequence[str],
    _: Sequence[str],
    output: str,
) -> None:
    nodes.add(
        type(pool).__name__,
        inputs,
        output,
        kernel_shape=list(pool.kernel),
        strides=list(pool.strides),
        pads=list(pool.pads),
    )


def _reshape(
    nodes: OnnxNodes, reshape: Reshape, inputs: Sequence[str], _: Sequence[str], output: str
) -> None:
    shape = nodes.constant(f"{output}/shape", np.asarray(reshape.shape, np.int64))
    nodes.add("Reshape", [*inputs, shape], output)


def _softmax(
    nodes: OnnxNodes, _: Softmax, inputs: Sequence[str], __: Sequence[str], output: str
) -> None:
    nodes.add("Softmax", inputs, output, axis=-1)


WRITERS: Mapping[type[Operator], Writer] = {
    Conv: _conv,
    Gemm: _gemm,
    Add: _add,
    Clamp: _clamp,
    GlobalAveragePool: _global_average_pool,
    AveragePool: _pool,
    MaxPool: _pool,
    Reshape: _reshape,
    Softmax: _softmax,
}


def write_operator(
    nodes: OnnxNodes,
    operator: Operator,
    inputs: Sequence[str],
    constants: Sequence[str],
    output: str,
) -> None:
    """Add the nodes of `operator`, without the clamp it may carry.

    Raises: ConvertError: an operator that the passes should have removed.
    """
    writer = WRITERS.get(type(operator))
    if writer is None:
        raise ConvertError(f"{type(operator).__name__} has no ONNX form; run the passes first")
    writer(nodes, operator, inputs, constants, output)
