"""ONNX in, Graph out. Every refusal is collected; a model that has one is not converted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from converters.errors import ConvertError, GraphError, Refusal, UnsupportedModelError
from converters.graph import Graph, Node
from converters.onnx_import.constants import FOLDABLE, Constants
from converters.onnx_import.handlers import HANDLERS
from converters.onnx_import.load import STANDARD_DOMAINS, opset_of
from converters.onnx_import.source import (
    Activation,
    Emit,
    Missing,
    RefusedError,
    Resolved,
    SourceNode,
)
from converters.operators import Operator, Shape
from edge.tensors import IMAGE_CHANNELS, Array

QUANTIZED_OPS = frozenset(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"))
QUANTIZED_PREFIXES = ("QLinear", "ConvInteger", "MatMulInteger")
MAX_SIDE = 1 << 14
# Of all activations of one picture; and of one activation, in the batch that the file demands.
MAX_VALUES = 1 << 30
# Of a batch of pictures, which the source model is run on once.
MAX_BATCH_VALUES = 1 << 26


def import_onnx(model: onnx.ModelProto, where: str) -> Graph:
    """Return the Graph of a float32 classifier with one image input; batch becomes 1.

    Args: model: loaded, functions inlined; where: the file's name, for messages.
    Raises: UnsupportedModelError: nodes that cannot be converted, all of them;
        ConvertError: the model as a whole is not a float32 image classifier.
    """
    _refuse_quantized(model, where)
    importer = _Importer(model, where)
    for proto in model.graph.node:
        importer.add(proto)
    return importer.finish()


class _Importer:
    """Walks the nodes in the file's order, which ONNX demands to be topological."""

    def __init__(self, model: onnx.ModelProto, where: str) -> None:
        self.where = where
        self.opset = opset_of(model)
        self.checker = type(onnx.checker.DEFAULT_CONTEXT)()
        self.checker.ir_version = model.ir_version
        self.checker.opset_imports = {"": self.opset}
        self.graph = model.graph
        weights = {tensor.name: _array(tensor, where) for tensor in model.graph.initializer}
        self.constants = Constants(self.opset, weights.values())
        self.input, self.batch = _image_input(model.graph, set(weights), where)
        self.values: dict[str, Resolved] = {**weights, self.input.name: self.input}
        self.nodes: list[Node] = []
        self.names: set[str] = set()
        self.total_values = 0
        self.refusals: list[Refusal] = []

    def add(self, proto: onnx.NodeProto) -> None:
        name = proto.name or f"{proto.op_type}_{proto.output[0] if proto.output else ''}"
        try:
            converted = self._convert(proto, name)
        except RefusedError as refused:
            self.refusals.append(Refusal(name, proto.op_type, str(refused)))
            converted = Missing()
        for index, output in enumerate(proto.output):
            if output in self.values:
                raise ConvertError(f"{self.where}: {name} makes {output!r} a second time")
            if index == 0:
                self.values[output] = converted
            elif output:
                # A mask, running statistics, the places of maxima: nothing at inference.
                reason = f"{output!r} is output {index} of {name}; only output 0 is supported"
                self.values[output] = Missing(reason)

    def _convert(self, proto: onnx.NodeProto, name: str) -> Resolved:
        proto = _in_standard_domain(proto)
        unknown = [key for key in proto.input if key and key not in self.values]
        if unknown:
            raise RefusedError(f"nothing before it makes its input {unknown[0]!r}")
        inputs = tuple(self.values[key] if key else None for key in proto.input)
        handler = HANDLERS.get(proto.op_type)
        if handler is None and proto.op_type not in FOLDABLE and proto.op_type != "Shape":
            raise RefusedError(_unsupported())
        missing = [value for value in inputs if isinstance(value, Missing)]
        if missing:
            for value in missing:
                if value.reason:
                    raise RefusedError(value.reason)
            return Missing()
        attributes = {a.name: _attribute(a) for a in proto.attribute}
        self._check_definition(proto)
        if proto.op_type == "Shape":
            return _shape(inputs[0], attributes)
        constant = self.constants.fold(proto, inputs)
        if constant is not None:
            return constant
        if handler is None:  # it would be folded, were its inputs constants
            raise RefusedError(_unsupported())
        outputs = sum(map(bool, proto.output))
        source = SourceNode(
            name, proto.op_type, self.opset, inputs, attributes, self.batch, outputs
        )
        converted = handler(source)
        if isinstance(converted, np.ndarray):
            return self.constants.count(converted, inputs)
        return self._place(converted, name, proto.output[0])

    def _check_definition(self, proto: onnx.NodeProto) -> None:
        """Refuse a node whose inputs or attributes are not those of the operator in this opset."""
        if not proto.output or not proto.output[0]:
            raise RefusedError("its first output has no name")
        try:
            onnx.checker.check_node(proto, self.checker)
        except onnx.checker.ValidationError as cause:
            reason = str(cause).split("\n", 1)[0]
            raise RefusedError(f"not as opset {self.opset} defines it: {reason}") from cause

    def _place(self, converted: Emit | Activation, name: str, output: str) -> Activation:
        if not isinstance(converted, Emit):
            return converted
        if converted.then is None:
            return self._append(converted.operator, converted.inputs, name, output)
        first = self._append(converted.operator, converted.inputs, name, f"{output}/{name}")
        return self._append(converted.then, (first,), f"{name}/then", output)

    def _append(
        self, operator: Operator, inputs: tuple[Activation, ...], name: str, output: str
    ) -> Activation:
        try:
            shape = operator.output_shape(*(a.shape for a in inputs))
        except (GraphError, IndexError) as cause:
            raise RefusedError(str(cause)) from cause
        size = math.prod(shape)
        if not 0 < size * self.batch <= MAX_VALUES or self.total_values + size > MAX_VALUES:
            raise RefusedError(
                f"its output of shape {shape} is empty or too large, alone or with those before it"
            )
        self.total_values += size
        while name in self.names:
            name = f"{name}_{len(self.names)}"
        self.names.add(name)
        self.nodes.append(Node(name, operator, tuple(a.name for a in inputs), output))
        return Activation(output, shape)

    def finish(self) -> Graph:
        if self.refusals:
            raise UnsupportedModelError(self.where, self.refusals)
        outputs = []
        for info in self.graph.output:
            value = self.values.get(info.name)
            if isinstance(value, Missing):
                raise ConvertError(f"{self.where}: {value.reason}; give the model another output")
            if not isinstance(value, Activation):
                raise ConvertError(
                    f"{self.where}: output {info.name!r} does not depend on the image"
                )
            # An output that a node without effect (Identity, Dropout) only renames keeps the
            # name of the value itself.
            outputs.append(value.name)
        if self.input.name in outputs:
            raise ConvertError(f"{self.where}: the model gives its input back unchanged")
        graph = Graph(
            self.graph.name or "model",
            self.input.name,
            self.input.shape,
            tuple(dict.fromkeys(outputs)),
            tuple(self.nodes),
        )
        graph.verify()
        return graph


def _shape(value: Resolved, attributes: dict[str, Any]) -> Array:
    """Return the shape of a value, which is static here, as a constant (Shape of opset 15)."""
    if not isinstance(value, Activation | np.ndarray):
        raise RefusedError("input 0 was left out")
    shape: Shape = value.shape
    return np.asarray(shape[attributes.get("start", 0) : attributes.get("end")], np.int64)


def _in_standard_domain(proto: onnx.NodeProto) -> onnx.NodeProto:
    """Return the node, its domain spelled as onnx's own tools know it."""
    if proto.domain not in STANDARD_DOMAINS:
        raise RefusedError(f"operators of the domain {proto.domain!r} are not supported")
    if not proto.domain:
        return proto
    plain = onnx.NodeProto()
    plain.CopyFrom(proto)
    plain.domain = ""
    return plain


def _unsupported() -> str:
    return f"not supported; supported are: {', '.join(sorted(HANDLERS))}"


def _refuse_quantized(model: onnx.ModelProto, where: str) -> None:
    for node in model.graph.node:
        if node.op_type in QUANTIZED_OPS or node.op_type.startswith(QUANTIZED_PREFIXES):
            raise ConvertError(
                f"{where}: already quantized (node {node.name!r} is a {node.op_type}); "
                "give the float32 model that it was made from"
            )


def _array(tensor: onnx.TensorProto, where: str) -> Array:
    if tensor.data_type == onnx.TensorProto.FLOAT16:
        raise ConvertError(
            f"{where}: tensor {tensor.name!r} is float16; export the model in float32"
        )
    try:
        return _to_array(tensor)
    except Exception as cause:  # whatever NumPy makes of bytes that do not fit the dimensions
        raise ConvertError(
            f"{where}: the data of tensor {tensor.name!r} does not fit its shape "
            f"{list(tensor.dims)}; export the model again"
        ) from cause


def _to_array(tensor: onnx.TensorProto) -> Array:
    if any(side < 0 for side in tensor.dims):  # NumPy would take -1 for "whatever is left"
        raise ValueError("a side is negative")
    return onnx.numpy_helper.to_array(tensor)


def _image_input(
    graph: onnx.GraphProto, initializers: set[str], where: str
) -> tuple[Activation, int]:
    """Return the image input with batch 1, and the batch that the file has (1 when symbolic)."""
    inputs = [info for info in graph.input if info.name not in initializers]
    if len(inputs) != 1:
        names = ", ".join(info.name for info in inputs) or "none"
        raise ConvertError(f"{where}: has {len(inputs)} inputs ({names}); a classifier has one")
    info = inputs[0]
    tensor = info.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kinds = {number: kind for kind, number in onnx.TensorProto.DataType.items()}
        kind = kinds.get(tensor.elem_type, "no tensor") if tensor.elem_type else "no tensor"
        raise ConvertError(
            f"{where}: input {info.name!r} is {kind}; only float32 is read: export it in float32"
        )
    # -1: symbolic
    shape: Shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
    text = "[" + ", ".join("?" if side < 0 else str(side) for side in shape) + "]"
    if len(shape) != 4 or shape[0] == 0 or shape[1] not in IMAGE_CHANNELS:
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}, which is not one image; "
            "allowed: [batch, C, H, W] with C of 1 or 3"
        )
    if not all(0 < side <= MAX_SIDE for side in shape[2:]):
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}; height and width must be fixed "
            f"numbers up to {MAX_SIDE}: export it with the size that the device will use"
        )
    if shape[3] in IMAGE_CHANNELS:
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}; a width of {shape[3]} could also be "
            "the channels of [batch, H, W, C]: export it with any other width"
        )
    if shape[0] > 1 and math.prod(shape) > MAX_BATCH_VALUES:
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}; a batch may have {MAX_BATCH_VALUES} "
            "values in all: export it with a batch of 1"
        )
    return Activation(info.name, (1, *shape[1:])), max(1, shape[0])


def _attribute(attribute: onnx.AttributeProto) -> object:
    try:
        value = onnx.helper.get_attribute_value(attribute)
    except ValueError as cause:
        raise RefusedError(f"attribute {attribute.name!r} cannot be read") from cause
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        if onnx.external_data_helper.uses_external_data(value):
            raise RefusedError(f"attribute {attribute.name!r} keeps its data in another file")
        try:
            return _to_array(value)
        except Exception as cause:  # as in _array
            raise RefusedError(f"attribute {attribute.name!r} does not fit its shape") from cause
    if not isinstance(value, int | float | str | list):
        raise RefusedError(f"attribute {attribute.name!r} holds a {type(value).__name__}")
    return value
