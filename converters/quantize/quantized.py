"""The quantized network: the very integers that both writers write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from converters.graph import Graph, Node
from converters.operators import Requantize
from converters.quantize.params import QMAX, QMIN, QuantParams

# What a caller of an artifact gives and gets: the integers themselves, uint8, or float32.
Io = Literal["integer", "uint8", "float32"]


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedWeights:
    """Constants of one Conv or Gemm.

    `weight`: int8, the shape of the float weight, symmetric (zero point 0), -127..127, or -128
    where a file that was already quantized says so; one scale for each output channel, or one for
    all where its parameters have no axis;
    `bias`: int32 [O], scale = input scale x weight scale, channel by channel, zero point 0.
    """

    weight: NDArray[np.int8]
    params: QuantParams
    bias: NDArray[np.int32]
    bias_scale: NDArray[np.float32]

    @property
    def scales(self) -> NDArray[np.float32]:
        """The scale of each output channel, float32 [O], also where one is for all."""
        return np.broadcast_to(np.asarray(self.params.scale, np.float32), self.bias.shape)

    def largest_sum(self) -> NDArray[np.int64]:
        """Return int64 [O]: what no channel's sum exceeds in size, whatever the input.

        An input and its zero point are at most 255 apart.
        """
        others = tuple(i for i in range(self.weight.ndim) if i != (self.params.axis or 0))
        size = np.abs(self.weight.astype(np.int16)).sum(axis=others, dtype=np.int64)
        largest: NDArray[np.int64] = size * (QMAX - QMIN) + np.abs(self.bias.astype(np.int64))
        return largest


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedGraph:
    """`graph` (float, for reference), the parameters of each value, the constants of each node.

    A value without parameters is float32, and what makes it computes in float32.
    """

    graph: Graph
    activations: Mapping[str, QuantParams]  # by value name: int8, one entry
    weights: Mapping[str, QuantizedWeights]  # by node name

    def is_left_to_reader(self, node: Node) -> bool:
        """Whether a node goes from integers to others, which its reader does as well by itself."""
        return isinstance(node.operator, Requantize) and node.inputs[0] in self.activations

    def integer_name(self, value: str, io: Io) -> str:
        """Return what an artifact calls the integers of a value.

        That is the value's own name, unless a caller sees that name as float32.
        """
        seen = (
            io == "float32"
            and value in (*self.graph.inputs, *self.graph.outputs)
            and value in self.activations
        )
        return f"{value}/integer" if seen else value
