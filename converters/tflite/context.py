"""What a handler needs while the file is being written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.operators import INFINITY, Clamp, Pads
from converters.quantize.params import QuantParams
from converters.quantize.quantized import Io, QuantizedGraph
from converters.tflite.builder import Opcode, TfliteBuilder
from converters.tflite.layout import Placed
from edge.tensors import Array

FUSED = {
    Clamp(0.0, INFINITY): schema.ActivationFunctionType.RELU,
    Clamp(0.0, 6.0): schema.ActivationFunctionType.RELU6,
    Clamp(-1.0, 1.0): schema.ActivationFunctionType.RELU_N1_TO_1,
}
PAD = Opcode(schema.BuiltinOperator.PAD, 2)
RESHAPE = Opcode(schema.BuiltinOperator.RESHAPE, 1)


@dataclass(slots=True)
class Context:
    """One file being written. `tensors`: the index of each value's tensor."""

    builder: TfliteBuilder
    quantized: QuantizedGraph
    placed: Mapping[str, Placed]
    io: Io
    tensors: dict[str, int] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        return self.quantized.graph

    def params(self, value: str) -> QuantParams:
        return self.quantized.activations[value]

    def output(self, node: Node) -> int:
        """Add the tensor of a node's output and return its index."""
        return self.add_value(node.output)

    def add_value(self, value: str) -> int:
        """Add the tensor of a value's integers and return its index."""
        name = self.quantized.integer_name(value, self.io)
        if self.is_output_vector(value):
            # The name belongs to the vector that the caller gets.
            name = f"{name}/pixel"
        shape = self.placed[value].shape
        self.tensors[value] = self.builder.tensor(name, shape, "int8", self.params(value))
        return self.tensors[value]

    def is_output_vector(self, value: str) -> bool:
        """Whether a caller gets this value, as [1, C] where it is held as [1, 1, 1, C]."""
        return value in self.graph.outputs and len(self.graph.shapes[value]) == 2

    def reshape(self, source: int, output: int) -> None:
        """Add the RESHAPE from one tensor to another."""
        shape = self.builder.tensors[output].shape
        options = schema.ReshapeOptionsT()
        options.newShape = shape
        name = self.builder.tensors[output].name
        constant = self.builder.constant(f"{name}/shape", shape)
        self.builder.operator(RESHAPE, [source, constant], output, options)

    def inputs(self, node: Node) -> list[int]:
        return [self.tensors[name] for name in node.inputs]

    def weights(self, node: Node, weight: Array, axis: int) -> list[int]:
        """Add int8 `weight`, already in TFLite's order, and the int32 bias; return both."""
        constants = self.quantized.weights[node.name]
        params = QuantParams(constants.params.scale, constants.params.zero_point, axis)
        zeros = (0,) * len(constants.bias)
        bias_params = QuantParams(tuple(map(float, constants.bias_scale)), zeros, 0)
        return [
            self.builder.constant(f"{node.name}/weight", weight, params),
            self.builder.constant(f"{node.name}/bias", constants.bias, bias_params),
        ]

    def fused_activation(self, node: Node, clamp: Clamp | None) -> int:
        """Return the schema's fused activation of a clamp.

        A clamp without a name there is what the integers' own limits do anyway.
        Raises: ConvertError: they do not.
        """
        if clamp is None:
            return int(schema.ActivationFunctionType.NONE)
        if clamp in FUSED:
            return int(FUSED[clamp])
        if self.params(node.output).saturates_at(clamp.low, clamp.high):
            return int(schema.ActivationFunctionType.NONE)
        raise ConvertError(
            f"{node.name} ({node.kind}): its clamp to [{clamp.low:g}, {clamp.high:g}] has no "
            "TFLite form at the scale that its kernel needs"
        )

    def padded(self, node: Node, explicit: Pads | None) -> int:
        """Return the first input of a node, behind a PAD operator where one is needed."""
        (source,) = node.inputs
        if explicit is None:
            return self.tensors[source]
        top, left, bottom, right = explicit
        n, height, width, channels = self.placed[source].shape
        shape = (n, height + top + bottom, width + left + right, channels)
        amounts = np.asarray([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        # PAD fills with the zero point: real zeros.
        output = self.builder.tensor(f"{node.name}/padded", shape, "int8", self.params(source))
        constant = self.builder.constant(f"{node.name}/pads", amounts)
        self.builder.operator(PAD, [self.tensors[source], constant], output, schema.PadOptionsT())
        return output
