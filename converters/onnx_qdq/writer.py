"""The ONNX artifact: float operators between QuantizeLinear and DequantizeLinear.

Runtimes fuse each group of DequantizeLinear, operator, QuantizeLinear into one integer operator.
The integers are those of the QuantizedGraph, under the same tensor names as in TFLite: a value's
integers are named like the value, `/real` marks what DequantizeLinear makes of them, and `/exact`
the operator's result before QuantizeLinear.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.onnx_qdq.nodes import Applied, OnnxNodes
from converters.onnx_qdq.operators import beside, write_operator
from converters.operators import Constant, Requantize, Weighted, clamp_of
from converters.quantize.quantized import Io, QuantizedGraph
from edge.card import CARD_KEY, TENSORS_KEY, ModelCard
from edge.tensors import Array

Activation = Literal["uint8", "int8"]
PARTS = ("weight", "bias")

# Opset 17 and IR 8 hold all that is needed and are read by runtimes since 2022.
OPSET = 17
IR_VERSION = 8
ELEMENT_TYPES = {
    "float32": TensorProto.FLOAT,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
}


def write_float(
    graph: Graph, observed: Sequence[str] = (), outside: dict[str, Array] | None = None
) -> onnx.ModelProto:
    """Return the float model of `graph`, with `observed` values as outputs after its own.

    Args: outside: takes the large constants, which the model then only names.
    """
    nodes = OnnxNodes(outside)
    for node in graph.nodes:
        _write_float_node(nodes, node, node.inputs, _rank(graph, node))
    outputs = dict.fromkeys([*graph.outputs, *observed], "float32")
    return _model(graph, nodes, dict.fromkeys(graph.inputs, "float32"), outputs)


def _rank(graph: Graph, node: Node) -> int:
    """Return the rank of a node's first input."""
    return len(graph.shapes[node.inputs[0]]) if node.inputs else 0


def _write_float_node(nodes: OnnxNodes, node: Node, inputs: Sequence[str], rank: int) -> None:
    """Add a node that reads and makes float32, with its weights."""
    weights: list[str] = []
    if isinstance(node.operator, Weighted):
        for part, value in zip(PARTS, (node.operator.weight, node.operator.bias), strict=True):
            turned = beside(node.operator, rank, value)
            weights.append(nodes.constant(f"{node.name}/{part}", turned))
    _write_clamped(nodes, node, Applied(inputs, weights, node.output, rank))


def _write_clamped(nodes: OnnxNodes, node: Node, at: Applied) -> None:
    clamp = clamp_of(node.operator)
    if clamp is None:
        write_operator(nodes, node.operator, at)
        return
    unclamped = f"{at.output}/unclamped"
    write_operator(nodes, node.operator, replace(at, output=unclamped))
    nodes.clamp(clamp, unclamped, at.output)


class _QdqWriter:
    """Writes one QuantizedGraph; `activation` is the integer type of every activation."""

    def __init__(self, quantized: QuantizedGraph, activation: Activation, io: Io) -> None:
        self.quantized = quantized
        self.activation = activation
        self.io = io
        graph = quantized.graph
        self.bytes = frozenset((*graph.inputs, *graph.outputs) if io == "uint8" else ())
        self.nodes = OnnxNodes()
        self.unfused: set[str] = set()

    def write_node(self, node: Node) -> None:
        rank = _rank(self.quantized.graph, node)
        params = self.quantized.activations.get(node.output)
        inputs = [self._real(name) for name in node.inputs]
        if params is None:
            if isinstance(node.operator, Weighted):
                inputs = [self._unfused(name) for name in node.inputs]
            _write_float_node(self.nodes, node, inputs, rank)
            return
        if isinstance(node.operator, Constant):
            spec = params.spec(node.output, (), self.activation)
            integers = self.quantized.integer_name(node.output, self.io)
            self.nodes.constant(integers, spec.quantize(node.operator.value))
            return
        if self.quantized.is_left_to_reader(node):
            # Its reader takes inputs of any scale and rounds once, to what TFLite copies. Between
            # two scales ONNX Runtime would choose a third.
            self.nodes.add("Identity", inputs, f"{node.output}/real")
            return
        if isinstance(node.operator, Requantize):
            self.quantize(node.output, *inputs)
            return
        exact = f"{node.output}/exact"
        at = Applied(inputs, self._weights(node, rank), exact, rank)
        clamp = clamp_of(node.operator)
        if clamp is None or params.saturates_at(clamp.low, clamp.high):
            write_operator(self.nodes, node.operator, at)
        else:
            _write_clamped(self.nodes, node, at)
        self.quantize(node.output, exact)

    def _real(self, value: str) -> str:
        """Return what a value is called as float32."""
        return f"{value}/real" if value in self.quantized.activations else value

    def _unfused(self, value: str) -> str:
        """Return what a value is called for a node with float weights.

        Where a Conv or Gemm reads a DequantizeLinear of one scale, ONNX Runtime rounds its float
        weights to 8 bits, with one scale for all of them (weight_bias_quantization.cc). It leaves
        them where there is a scale for each channel, and so each is given the same.
        """
        shape = self.quantized.graph.shapes[value]
        axis = next((axis for axis, side in enumerate(shape) if side > 1), None)
        if value not in self.quantized.activations or axis is None:
            return self._real(value)
        real = f"{value}/real for float"
        if real not in self.unfused:
            self.unfused.add(real)
            spec = self.quantized.activations[value].spec(value, (), self.dtype(value))
            scales = np.full(shape[axis], spec.scale, np.float32)
            zeros = np.full(shape[axis], spec.zero_point, spec.dtype)
            operands = [
                self.quantized.integer_name(value, self.io),
                self.nodes.constant(f"{real}/scale", scales),
                self.nodes.constant(f"{real}/zero_point", zeros),
            ]
            self.nodes.add("DequantizeLinear", operands, real, axis=axis)
        return real

    def quantize(self, value: str, real: str) -> None:
        integers = self.quantized.integer_name(value, self.io)
        self.nodes.add("QuantizeLinear", [real, *self._scalars(value)], integers)

    def dequantize(self, value: str, real: str) -> None:
        integers = self.quantized.integer_name(value, self.io)
        self.nodes.add("DequantizeLinear", [integers, *self._scalars(value)], real)

    def dtype(self, value: str) -> Activation:
        """Return the integer type that a value is stored in."""
        return "uint8" if value in self.bytes else self.activation

    def seen(self, value: str) -> str:
        """Return the type of an input or output."""
        is_float = self.io == "float32" or value not in self.quantized.activations
        return "float32" if is_float else self.dtype(value)

    def _scalars(self, value: str) -> tuple[str, str]:
        """Add scale and zero point of a value. Rank 0: with rank 1, ONNX Runtime fuses no Add."""
        spec = self.quantized.activations[value].spec(value, (), self.dtype(value))
        return (
            self.nodes.constant(f"{value}/scale", np.asarray(spec.scale, np.float32)),
            self.nodes.constant(f"{value}/zero_point", np.asarray(spec.zero_point, spec.dtype)),
        )

    def _weights(self, node: Node, rank: int) -> list[str]:
        """Add the integers of a node's weight and bias, where it has them, and their meaning."""
        weights = self.quantized.weights.get(node.name)
        if weights is None:
            return []
        parts: tuple[tuple[Array, Array], ...] = (
            (weights.weight, weights.scales),
            (weights.bias, weights.bias_scale),
        )
        axis = weights.params.axis
        along = {} if axis is None else {"axis": axis}
        names = []
        for part, (integers, each) in zip(PARTS, parts, strict=True):
            base = f"{node.name}/{part}"
            scales = each[0] if axis is None else each  # one alone has rank 0
            operands = [
                self.nodes.constant(base, beside(node.operator, rank, integers)),
                self.nodes.constant(f"{base}/scale", scales),
                self.nodes.constant(f"{base}/zero_point", np.zeros(scales.shape, integers.dtype)),
            ]
            names.append(self.nodes.add("DequantizeLinear", operands, f"{base}/real", **along))
        return names


def write_qdq(
    quantized: QuantizedGraph,
    card: ModelCard,
    *,
    activation: Activation = "uint8",
    io: Io = "integer",
) -> onnx.ModelProto:
    """Return the int8 model, with the card in its metadata.

    Args: activation: how activations are stored; the integers are the same but for a shift of
        128. ONNX Runtime on x86 runs every convolution in integers only with uint8;
        io: whether input and outputs are integers as activations are, uint8, or float32.
    """
    model, dtype = _network(quantized, activation, io)
    metadata = {CARD_KEY: card.to_json()}
    if io != "float32":
        metadata[TENSORS_KEY] = json.dumps(_meanings(quantized, dtype))
    helper.set_model_props(model, metadata)
    return model


def write_network(quantized: QuantizedGraph) -> onnx.ModelProto:
    """Return the int8 model alone; its inputs and outputs are uint8 where they are quantized."""
    return _network(quantized, "uint8", "integer")[0]


def _network(
    quantized: QuantizedGraph, activation: Activation, io: Io
) -> tuple[onnx.ModelProto, Activation]:
    """Return the model without metadata, and the integers that its inputs and outputs are."""
    graph = quantized.graph
    writer = _QdqWriter(quantized, activation, io)
    for name in graph.inputs:
        if io == "float32":
            writer.quantize(name, name)
        if name in quantized.activations:
            writer.dequantize(name, f"{name}/real")
    for node in graph.nodes:
        writer.write_node(node)
        has_integers = node.output in quantized.activations
        if has_integers and graph.consumers[node.output] and not quantized.is_left_to_reader(node):
            writer.dequantize(node.output, f"{node.output}/real")
    if io == "float32":
        for name in graph.outputs:
            writer.dequantize(name, name)
    integers = writer.dtype(graph.outputs[0])
    inputs, outputs = (
        {name: writer.seen(name) for name in names} for names in (graph.inputs, graph.outputs)
    )
    return _model(graph, writer.nodes, inputs, outputs), integers


def _meanings(quantized: QuantizedGraph, activation: Activation) -> dict[str, object]:
    """Return what the integers mean that a caller gives and gets (`edge.card.TENSORS_KEY`)."""
    graph = quantized.graph

    def meaning(name: str) -> dict[str, object]:
        spec = quantized.activations[name].spec(name, graph.shapes[name], activation)
        return {"name": name, "scale": spec.scale, "zero_point": spec.zero_point}

    first = next(iter(graph.inputs))
    meanings: dict[str, object] = {"input": meaning(first), "output": meaning(graph.output)}
    if graph.others:
        meanings["outputs"] = [meaning(name) for name in graph.outputs]
    return meanings


def _model(
    graph: Graph, nodes: OnnxNodes, inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> onnx.ModelProto:
    made = [*inputs, *nodes.initializers, *(name for node in nodes.nodes for name in node.output)]
    twice = next((name for name, count in Counter(made).items() if count > 1), None)
    if twice is not None:
        raise ConvertError(
            f"{graph.name}: the model has a tensor called {twice!r}, a name that is needed for a "
            "step of quantization; rename it in the exporter"
        )

    def info(name: str, dtype: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, ELEMENT_TYPES[dtype], graph.shapes[name])

    proto = helper.make_graph(
        nodes.nodes,
        graph.name,
        [info(name, dtype) for name, dtype in inputs.items()],
        [info(name, dtype) for name, dtype in outputs.items()],
        list(nodes.initializers.values()),
    )
    return helper.make_model(
        proto,
        producer_name="edge-deploy",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
