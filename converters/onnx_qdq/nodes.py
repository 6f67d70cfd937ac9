"""ONNX nodes and constants, collected while a graph is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.operators import INFINITY, Clamp
from edge.tensors import Array

# Small constants may be shapes and the like, which are read when a model is opened.
MIN_OUTSIDE_BYTES = 1024
# ONNX wants the name of a file, which ONNX Runtime does not open when it is given the array.
NOWHERE = "-"


class OnnxNodes:
    """Collects nodes and initializers while a graph is written.

    `outside`: takes the arrays that shall not be copied into the model, by name; None: all are.
    """

    def __init__(self, outside: dict[str, Array] | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.outside = outside

    def constant(self, name: str, value: Array) -> str:
        """Add an initializer and return its name."""
        if self.outside is None or value.nbytes < MIN_OUTSIDE_BYTES:
            self.initializers[name] = numpy_helper.from_array(value, name)
            return name
        self.outside[name] = np.ascontiguousarray(value)
        tensor = onnx.TensorProto(name=name, dims=value.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=NOWHERE)
        self.initializers[name] = tensor
        return name

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        """Add a node named after its output and return the output."""
        self.nodes.append(
            helper.make_node(
                op_type, inputs, [output], f"{op_type}:{output}", None, None, None, **attributes
            )
        )
        return output

    def numbers(self, name: str, values: Sequence[int]) -> str:
        """Add whole numbers as an initializer, int64 [N], and return its name."""
        return self.constant(name, np.asarray(values, np.int64))

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


@dataclass(frozen=True, slots=True)
class Applied:
    """An operator at its place: the names of its inputs, and of its weight and bias if it has any.

    `rank` is that of its first input.
    """

    inputs: Sequence[str]
    weights: Sequence[str]
    output: str
    rank: int
