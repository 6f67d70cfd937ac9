"""What a file's tensors hold: int8 with its parameters, or float32, its weights perhaps halved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from converters.graph import Graph, Node
from converters.operators import Weighted
from converters.quantize.params import QMIN, QuantParams
from converters.quantize.quantized import Io, QuantizedGraph
from converters.tflite.builder import TfliteBuilder
from converters.tflite.opcodes import DEQUANTIZE_HALF
from edge.tensors import F32, Array


class Numbers(Protocol):
    """How values and weights become tensors."""

    @property
    def graph(self) -> Graph: ...

    def name(self, value: str) -> str:
        """Return what the tensor of a value is called."""
        ...

    def params(self, value: str) -> QuantParams | None:
        """Return what a value's int8 integers mean; None where it is float32."""
        ...

    def constant(self, value: str, real: F32) -> Array:
        """Return a constant as a tensor of that value holds it."""
        ...

    def weights(
        self,
        builder: TfliteBuilder,
        node: Node,
        turn: Callable[[Array], Array],
        axis: int,
        order: Sequence[int] | None = None,
    ) -> list[int]:
        """Add a node's weight, `turn`ed to TFLite's axes, and its bias, and return both.

        Args: axis: that of the output channels after the turn; order: these channels as they lie
            in memory, None where that is ONNX's order.
        """
        ...


@dataclass(frozen=True, slots=True)
class Int8Numbers:
    """The integers of a QuantizedGraph. `io` is what callers of the file give and get."""

    quantized: QuantizedGraph
    io: Io = "integer"

    @property
    def graph(self) -> Graph:
        return self.quantized.graph

    def name(self, value: str) -> str:
        # A caller sees an input's or output's own name as what `io` says.
        seen: Io = "integer" if self.io == "integer" else "float32"
        return self.quantized.integer_name(value, seen)

    def params(self, value: str) -> QuantParams | None:
        return self.quantized.activations.get(value)

    def constant(self, value: str, real: F32) -> Array:
        params = self.params(value)
        if params is None:
            return FloatNumbers(self.graph).constant(value, real)
        if np.isneginf(real).all():
            return np.full(real.shape, QMIN, np.int8)
        return params.spec(value, (), "int8").quantize(real)

    def weights(
        self,
        builder: TfliteBuilder,
        node: Node,
        turn: Callable[[Array], Array],
        axis: int,
        order: Sequence[int] | None = None,
    ) -> list[int]:
        if node.name not in self.quantized.weights:  # it is computed in float
            return FloatNumbers(self.graph).weights(builder, node, turn, axis, order)
        constants = self.quantized.weights[node.name]
        channels = range(len(constants.bias)) if order is None else order
        # Where all channels have one scale, the file says it once.
        scaled = channels if constants.params.axis is not None else channels[:1]
        along = (axis, 0) if constants.params.axis is not None else (None, None)
        zeros = (0,) * len(scaled)
        params, bias_params = (
            QuantParams(tuple(float(scales[i]) for i in scaled), zeros, along_axis)
            for scales, along_axis in zip(
                (constants.scales, constants.bias_scale), along, strict=True
            )
        )
        weight = turn(constants.weight).take(channels, axis)
        return [
            builder.constant(f"{node.name}/weight", weight, params),
            builder.constant(f"{node.name}/bias", constants.bias.take(channels), bias_params),
        ]


@dataclass(frozen=True, slots=True)
class FloatNumbers:
    """float32 values. With `half`, weights are kept as float16 and computed with as float32.

    Those of a node that holds one too large for float16 stay as they are.
    """

    graph: Graph
    half: bool = False

    def name(self, value: str) -> str:
        return value

    def params(self, value: str) -> None:  # noqa: ARG002 (as the protocol has it)
        return None

    def constant(self, value: str, real: F32) -> Array:  # noqa: ARG002
        # Padding that never wins, as a number that every kernel takes.
        return np.maximum(real, np.finfo(np.float32).min).astype(np.float32)

    def weights(
        self,
        builder: TfliteBuilder,
        node: Node,
        turn: Callable[[Array], Array],
        axis: int,
        order: Sequence[int] | None = None,
    ) -> list[int]:
        assert isinstance(node.operator, Weighted)  # noqa: S101 (no other asks for weights)
        weight, bias = turn(node.operator.weight), node.operator.bias
        if order is not None:
            weight, bias = weight.take(order, axis), bias.take(order)
        weight_name = f"{node.name}/weight"
        bias_index = builder.constant(f"{node.name}/bias", bias)
        # A weight beyond float16 would become infinite.
        if not self.half or np.abs(weight).max() > np.finfo(np.float16).max:
            return [builder.constant(weight_name, weight), bias_index]
        halved = weight.astype(np.float16)
        source = builder.constant(f"{weight_name}/half", halved)
        real = builder.tensor(weight_name, halved.shape, "float32")
        builder.operator(DEQUANTIZE_HALF, [source], real)
        return [real, bias_index]
