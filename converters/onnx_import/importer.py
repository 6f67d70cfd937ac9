"""ONNX in, Graph out. Every refusal is collected; a model that has one is not converted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import onnx

from converters.errors import ConvertError, GraphError, Refusal, UnsupportedModelError
from converters.graph import Graph, Node
from converters.onnx_import.constants import FOLDABLE, Constants
from converters.onnx_import.handlers import HANDLERS
from converters.onnx_import.inputs import image_input
from converters.onnx_import.load import opset_of
from converters.onnx_import.quantized import (
    READS_INTEGERS,
    ConstantIntegers,
    check_form,
    check_reader,
    in_standard_domain,
    is_quantized,
    refuse_quantized,
)
from converters.onnx_import.source import (
    Activation,
    Integers,
    Missing,
    Operand,
    RefusedError,
    Resolved,
    SourceNode,
    SourceNorm,
)
from converters.onnx_import.values import attribute, initializer
from converters.operators import Constant, Operator, Reshape, Shape
from converters.quantize.integers import Dequantized, GivenConstants
from edge.tensors import Array

# Of all activations of one picture; and of one activation, in the batch that the file demands.
MAX_VALUES = 1 << 30

# Reads the inputs' names and shapes, and the batch that the file was exported with.
ReadInputs: TypeAlias = Callable[
    [onnx.GraphProto, frozenset[str], str], tuple[tuple[Activation, ...], int]
]


def import_onnx(model: onnx.ModelProto, where: str, read_inputs: ReadInputs = image_input) -> Graph:
    """Return the Graph of a float32 network; by default of one image, whose batch becomes 1.

    Args: model: loaded, functions inlined; where: the file's name, for messages; read_inputs:
        what inputs there may be.
    Raises: UnsupportedModelError: nodes that cannot be converted, all of them;
        ConvertError: the model as a whole is not what `read_inputs` takes.
    """
    refuse_quantized(model, where)
    return _import(model, where, read_inputs).finish()


def import_with_norms(model: onnx.ModelProto, where: str) -> tuple[Graph, tuple[SourceNorm, ...]]:
    """Return the Graph, and what the file's BatchNormalizations of images remember, in its order.

    Args and Raises: as `import_onnx`.
    """
    refuse_quantized(model, where)
    importer = _import(model, where, image_input)
    graph = importer.finish()
    return graph, tuple(norm for norm in importer.norms if norm.value in graph.shapes)


def import_quantized(
    model: onnx.ModelProto, where: str
) -> tuple[Graph, Mapping[str, GivenConstants]]:
    """Return the Graph of a quantized network, and the integers of its constants by node.

    A Requantize stands wherever the file has a QuantizeLinear; constants are what their integers
    mean. Args and Raises: as `import_onnx`.
    """
    importer = _import(model, where, image_input)
    return importer.finish(), importer.integers.given


def _import(model: onnx.ModelProto, where: str, read_inputs: ReadInputs) -> _Importer:
    importer = _Importer(model, where, read_inputs)
    for proto in model.graph.node:
        importer.add(proto)
    return importer


class _Importer:
    """Walks the nodes in the file's order, which ONNX demands to be topological."""

    def __init__(self, model: onnx.ModelProto, where: str, read_inputs: ReadInputs) -> None:
        self.where = where
        self.opset = opset_of(model)
        self.checker = type(onnx.checker.DEFAULT_CONTEXT)()
        self.checker.ir_version = model.ir_version
        self.checker.opset_imports = {"": self.opset}
        self.graph = model.graph
        weights = {tensor.name: initializer(tensor, where) for tensor in model.graph.initializer}
        self.constants = Constants(self.opset, weights.values())
        if is_quantized(model):  # a byte becomes four, and a float first a byte
            self.constants.room_bytes += 5 * sum(value.size for value in weights.values())
        self.integers = ConstantIntegers(self.constants)
        self.inputs, self.batch = read_inputs(model.graph, frozenset(weights), where)
        self.values: dict[str, Resolved] = weights | {given.name: given for given in self.inputs}
        self.nodes: list[Node] = []
        self.names: set[str] = set()
        self.total_values = 0
        self.refusals: list[Refusal] = []
        self.norms: list[SourceNorm] = []

    def add(self, proto: onnx.NodeProto) -> None:
        name = proto.name or f"{proto.op_type}_{proto.output[0] if proto.output else ''}"
        try:
            converted = self._convert(proto, name)
        except (RefusedError, GraphError) as refused:
            self.refusals.append(Refusal(name, proto.op_type, str(refused)))
            converted = (Missing(),) * len(proto.output)
        made: tuple[Resolved, ...] = converted if isinstance(converted, tuple) else (converted,)
        for index, output in enumerate(proto.output):
            if not output:
                continue  # left out
            if output in self.values:
                raise ConvertError(f"{self.where}: {name} makes {output!r} a second time")
            if index < len(made):
                self.values[output] = made[index]
            else:
                # A mask, running statistics, the places of maxima: nothing at inference.
                reason = f"{output!r} is output {index} of {name}, which is not supported"
                self.values[output] = Missing(reason)

    def _convert(self, proto: onnx.NodeProto, name: str) -> Resolved | tuple[Resolved, ...]:
        check_form(proto)
        proto = in_standard_domain(proto)
        unknown = [key for key in proto.input if key and key not in self.values]
        if unknown:
            raise RefusedError(f"nothing before it makes its input {unknown[0]!r}")
        inputs = tuple(self.values[key] if key else None for key in proto.input)
        handler = HANDLERS.get(proto.op_type)
        if handler is None and proto.op_type not in FOLDABLE and proto.op_type != "Shape":
            raise RefusedError(_unsupported())
        if _is_any_missing(inputs):
            return (Missing(),) * len(proto.output)
        check_reader(proto, inputs)
        attributes = {a.name: attribute(a) for a in proto.attribute}
        self._check_definition(proto)
        if proto.op_type == "Shape":
            return _shape(inputs[0], attributes)
        constants = self.constants.fold(proto, inputs)
        if constants is not None:
            self.integers.follow(proto, inputs, constants)
            return constants
        if handler is None:  # it would be folded, were its inputs constants
            raise RefusedError(_unsupported())
        self.integers.current = tuple(proto.input)
        source = SourceNode(
            name,
            proto.op_type,
            self.opset,
            inputs,
            attributes,
            self.batch,
            tuple(proto.output),
            self._append,
        )
        converted = handler(source)
        if proto.op_type == "BatchNormalization":
            self.norms.append(
                SourceNorm(name, source.activation(0).name, source.weights(3), source.weights(4))
            )
        if isinstance(converted, Dequantized):
            converted = self.integers.add(proto, converted)
        if isinstance(converted, np.ndarray):
            return self.constants.count(converted, inputs)
        return converted

    def _check_definition(self, proto: onnx.NodeProto) -> None:
        """Refuse a node whose inputs or attributes are not those of the operator in this opset."""
        if not proto.output or not proto.output[0]:
            raise RefusedError("its first output has no name")
        if proto.op_type == "Split" and not all(proto.output):
            raise RefusedError("one of its outputs has no name")
        try:
            onnx.checker.check_node(proto, self.checker)
        except onnx.checker.ValidationError as cause:
            reason = str(cause).split("\n", 1)[0]
            raise RefusedError(f"not as opset {self.opset} defines it: {reason}") from cause

    def _append(
        self, operator: Operator, inputs: tuple[Operand, ...], name: str, output: str
    ) -> Activation:
        """Add a node, with constants among its inputs as nodes before it."""
        given = [
            value
            if isinstance(value, Activation)
            else self._append(
                Constant(value), (), f"{name}/constant{index}", f"{output}/constant{index}"
            )
            for index, value in enumerate(inputs)
        ]
        try:
            shape = operator.output_shape(*(value.shape for value in given))
        except (GraphError, IndexError) as cause:
            raise RefusedError(str(cause)) from cause
        size = math.prod(shape)
        if not 0 < size * self.batch <= MAX_VALUES or self.total_values + size > MAX_VALUES:
            raise RefusedError(
                f"its output of shape {shape} is empty or too large, alone or with those before it"
            )
        self.total_values += size
        name = self._unique(name)
        self.integers.note(name, operator)
        self.nodes.append(Node(name, operator, tuple(value.name for value in given), output))
        return Activation(output, shape)

    def _unique(self, name: str) -> str:
        """Return a name that no node has yet, which is then taken."""
        while name in self.names:
            name = f"{name}_{len(self.names)}"
        self.names.add(name)
        return name

    def finish(self) -> Graph:
        if self.refusals:
            raise UnsupportedModelError(self.where, self.refusals)
        outputs = tuple(info.name for info in self.graph.output)
        twice = next((name for name, count in Counter(outputs).items() if count > 1), None)
        if twice is not None:
            raise ConvertError(
                f"{self.where}: two outputs are called {twice!r}; export it with that one once"
            )
        renamed: dict[str, str] = {}
        again: list[Node] = []
        for info in self.graph.output:
            value = self.values.get(info.name)
            if isinstance(value, Missing):
                raise ConvertError(f"{self.where}: {value.reason}; give the model another output")
            if isinstance(value, Integers):
                raise ConvertError(f"{self.where}: output {info.name!r} {READS_INTEGERS}")
            if not isinstance(value, Activation):
                raise ConvertError(
                    f"{self.where}: output {info.name!r} does not depend on the image; export it "
                    "without"
                )
            # An output that a node without effect (Identity, Dropout) only renames is that value,
            # under the output's name; of two such outputs the first names it, and the second is a
            # Reshape that changes nothing.
            first = renamed.setdefault(value.name, info.name)
            if first != info.name:
                copy = self._unique(f"{info.name}/again")
                again.append(Node(copy, Reshape(value.shape), (first,), info.name))
        inputs = {given.name: given.shape for given in self.inputs}
        if not inputs.keys().isdisjoint(renamed):
            same = next(name for value, name in renamed.items() if value in inputs)
            raise ConvertError(
                f"{self.where}: the model gives its input back unchanged; export it without "
                f"output {same!r}"
            )
        nodes = (
            replace(
                node,
                inputs=tuple(renamed.get(name, name) for name in node.inputs),
                output=renamed.get(node.output, node.output),
            )
            for node in self.nodes
        )
        name = self.graph.name or "model"
        graph = Graph(name, inputs, outputs, (*nodes, *again))
        graph.verify()
        return graph


def _shape(value: Resolved, attributes: dict[str, Any]) -> Array:
    """Return the shape of a value, which is static here, as a constant (Shape of opset 15)."""
    if not isinstance(value, Activation | np.ndarray):
        raise RefusedError("input 0 was left out")
    shape: Shape = value.shape
    return np.asarray(shape[attributes.get("start", 0) : attributes.get("end")], np.int64)


def _is_any_missing(inputs: tuple[Resolved, ...]) -> bool:
    """Whether an input cannot be had. Raises: RefusedError: one has a reason for it."""
    missing = [value for value in inputs if isinstance(value, Missing)]
    for value in missing:
        if value.reason:
            raise RefusedError(value.reason)
    return bool(missing)


def _unsupported() -> str:
    return f"not supported; supported are: {', '.join(sorted(HANDLERS))}"
