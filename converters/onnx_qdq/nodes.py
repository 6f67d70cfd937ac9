"""ONNX nodes and constants, collected while a graph is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.operators import INFINITY, Clamp
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
