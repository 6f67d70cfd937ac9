"""A TFLite file as the network whose structure is to be seen: shapes, and no numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.errors import ConvertError, GraphError
from converters.graph import Graph, Node
from converters.mobilenet_v2.architecture import side_padding
from converters.operators import (
    INFINITY,
    Add,
    AveragePool,
    Clamp,
    Concat,
    Constant,
    Conv,
    Gemm,
    HardSwish,
    MaxPool,
    Mul,
    Operator,
    Pad,
    ReduceMean,
    Reshape,
    Shape,
    Sigmoid,
    Softmax,
    Sub,
)
from edge.backends import open_model
from edge.tensors import F32

# A table of the file, unpacked: generated code has no types.
Packed: TypeAlias = Any
RELU, RELU6 = Clamp(0.0, INFINITY), Clamp(0.0, 6.0)
FUSED: Mapping[int, Clamp] = {
    schema.ActivationFunctionType.RELU: RELU,
    schema.ActivationFunctionType.RELU6: RELU6,
    schema.ActivationFunctionType.RELU_N1_TO_1: Clamp(-1.0, 1.0),
}
# What gives the same values, as far as their structure goes.
SAME = frozenset(("QUANTIZE", "DEQUANTIZE"))
# Where an axis of [N, H, W, C] lies in [N, C, H, W].
AXES = (0, 2, 3, 1)


def read_tflite(path: Path) -> Graph:
    """Return the network, in ONNX's layout, with weights that are all zero.

    Raises: BackendError: LiteRT cannot open the file; ConvertError: it holds an operator that is
        not known here; all of them are named.
    """
    # LiteRT checks that nothing in the file points out of it.
    with closing(open_model(path, threads=1)):
        data = path.read_bytes()
    reader = _Reader(schema.ModelT.InitFromPackedBuf(data, 0))
    try:
        graph = reader.graph(path.stem)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as cause:
        raise ConvertError(
            f"{path}: an operator lacks what it needs ({cause}); write the file again"
        ) from cause
    if reader.unknown:
        raise ConvertError(
            f"{path}: its structure cannot be told from TFLite, which holds "
            f"{', '.join(sorted(reader.unknown))}; describe the ONNX file that it was made of"
        )
    try:
        graph.verify()
        _check_shapes(graph, reader)
    except GraphError as cause:
        raise ConvertError(
            f"{path}: {cause}; describe the ONNX file that it was made of"
        ) from cause
    return graph


def _check_shapes(graph: Graph, reader: _Reader) -> None:
    """Raise GraphError where an operator makes another shape than the file says."""
    for name, found in graph.shapes.items():
        if math.prod(found) != math.prod(reader.shapes.get(name, found)):
            raise GraphError(f"{name} has shape {list(found)}, not {list(reader.shapes[name])}")


class _Reader:
    """Nodes of the first subgraph, as far as they are known."""

    def __init__(self, model: Packed) -> None:
        self._model = model
        self._graph = model.subgraphs[0]
        self._same: dict[int, int] = {}
        self.shapes: dict[str, Shape] = {}
        self.unknown: set[str] = set()

    def graph(self, name: str) -> Graph:
        """Return the graph; what is unknown is missing in it."""
        opcodes = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        nodes: list[Node] = []
        held: set[int] = set()
        for operator in self._graph.operators:
            code = self._model.operatorCodes[operator.opcodeIndex]
            kind = opcodes.get(max(code.builtinCode, code.deprecatedBuiltinCode), "?")
            (output,) = operator.outputs
            if kind in SAME:
                self._same[output] = self._same.get(operator.inputs[0], operator.inputs[0])
                continue
            made = HANDLERS[kind](self, operator) if kind in HANDLERS else None
            if made is None:
                self.unknown.add(kind)
                continue
            inputs = [i for i in operator.inputs if i >= 0 and self._is_moving(i, made)]
            nodes += [self._constant(i) for i in inputs if self._is_constant(i) and i not in held]
            held.update(inputs)
            names = tuple(self._name(i) for i in inputs)
            nodes.append(Node(self._name(output), made, names, self._name(output)))
        given = {self._name(i): self.shape(i) for i in self._graph.inputs}
        return Graph(name, given, tuple(self._name(i) for i in self._graph.outputs), tuple(nodes))

    def shape(self, index: int) -> Shape:
        """Return the shape of a tensor in ONNX's layout."""
        sides = tuple(map(int, self._graph.tensors[index].shape))
        return (sides[0], sides[3], *sides[1:3]) if len(sides) == 4 else sides

    def sides(self, index: int) -> Shape:
        """Return the shape of a tensor as the file has it."""
        return tuple(map(int, self._graph.tensors[index].shape))

    def numbers(self, index: int) -> list[int]:
        """Return the values of a small int32 constant."""
        data = self._model.buffers[self._graph.tensors[index].buffer].data
        return [] if data is None else list(map(int, np.asarray(data, np.uint8).view(np.int32)))

    def _name(self, index: int) -> str:
        index = self._same.get(index, index)
        name = f"{self._graph.tensors[index].name.decode(errors='replace')}#{index}"
        self.shapes[name] = self.shape(index)
        return name

    def _is_constant(self, index: int) -> bool:
        data = self._model.buffers[self._graph.tensors[index].buffer].data
        return data is not None and len(data) > 0

    def _is_moving(self, index: int, made: Operator) -> bool:
        """Whether a tensor is an input of the node, and not one that the operator holds."""
        return not self._is_constant(index) or isinstance(made, Add | Sub | Mul | Concat)

    def _constant(self, index: int) -> Node:
        return Node(self._name(index), Constant(_zeros(self.shape(index))), (), self._name(index))


def _zeros(shape: Shape) -> F32:
    """Return zeros that take no memory."""
    return np.broadcast_to(np.float32(0), shape)


def _pads(
    reader: _Reader,
    operator: Packed,
    kernel: tuple[int, int],
) -> tuple[int, int, int, int]:
    options = operator.builtinOptions
    if options.padding != schema.Padding.SAME:
        return (0, 0, 0, 0)
    _, height, width, _ = reader.sides(operator.inputs[0])
    dilations = (getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1))
    (top, bottom), (left, right) = (
        side_padding(side, (size - 1) * dilation + 1, stride, "tensorflow")
        for side, size, dilation, stride in zip(
            (height, width), kernel, dilations, (options.strideH, options.strideW), strict=True
        )
    )
    return (top, left, bottom, right)


def _conv(reader: _Reader, operator: Packed) -> Operator:
    options = operator.builtinOptions
    is_depthwise = isinstance(options, schema.DepthwiseConv2DOptionsT)
    first, height, width, last = reader.sides(operator.inputs[1])
    channels = reader.shape(operator.inputs[0])[1]
    weight = (last, 1, height, width) if is_depthwise else (first, last, height, width)
    return Conv(
        _zeros(weight),
        _zeros(weight[:1]),
        (options.strideH, options.strideW),
        _pads(reader, operator, (height, width)),
        (options.dilationHFactor, options.dilationWFactor),
        channels if is_depthwise else max(1, channels // last),
        FUSED.get(options.fusedActivationFunction),
    )


def _dense(reader: _Reader, operator: Packed) -> Operator:
    weight = reader.sides(operator.inputs[1])
    clamp = FUSED.get(operator.builtinOptions.fusedActivationFunction)
    return Gemm(_zeros(weight), _zeros(weight[:1]), clamp)


def _binary(kind: Callable[[Clamp | None], Operator]) -> Handler:
    def handle(_: _Reader, operator: Packed) -> Operator:
        return kind(FUSED.get(operator.builtinOptions.fusedActivationFunction))

    return handle


def _pool(kind: Callable[..., Operator]) -> Handler:
    def handle(reader: _Reader, operator: Packed) -> Operator:
        options = operator.builtinOptions
        kernel = (options.filterHeight, options.filterWidth)
        pads = _pads(reader, operator, kernel)
        return kind(kernel, (options.strideH, options.strideW), pads)

    return handle


def _mean(reader: _Reader, operator: Packed) -> Operator:
    rank = len(reader.sides(operator.inputs[0]))
    axes = [axis % rank for axis in reader.numbers(operator.inputs[1])]
    turned = (AXES[axis] if rank == 4 else axis for axis in axes)
    return ReduceMean(tuple(sorted(turned)), operator.builtinOptions.keepDims)


def _reshape(reader: _Reader, operator: Packed) -> Operator:
    return Reshape(reader.shape(operator.outputs[0]))


def _pad(reader: _Reader, operator: Packed) -> Operator:
    rows = np.reshape(reader.numbers(operator.inputs[1]), (-1, 2))
    if len(rows) == 4:
        rows = rows[[0, 3, 1, 2]]
    return Pad(tuple(map(int, rows[:, 0])), tuple(map(int, rows[:, 1])))


def _concat(reader: _Reader, operator: Packed) -> Operator:
    rank = len(reader.sides(operator.outputs[0]))
    axis = operator.builtinOptions.axis % rank
    return Concat(AXES[axis] if rank == 4 else axis)


def _always(made: Operator) -> Handler:
    return lambda _reader, _operator: made


Handler = Callable[[_Reader, Packed], Operator | None]
HANDLERS: Mapping[str, Handler] = {
    "ADD": _binary(Add),
    "AVERAGE_POOL_2D": _pool(AveragePool),
    "CONCATENATION": _concat,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "FULLY_CONNECTED": _dense,
    "HARD_SWISH": _always(HardSwish()),
    "LOGISTIC": _always(Sigmoid()),
    "MAX_POOL_2D": _pool(MaxPool),
    "MEAN": _mean,
    "MUL": _binary(Mul),
    "PAD": _pad,
    "RELU": _always(RELU),
    "RELU6": _always(RELU6),
    "RESHAPE": _reshape,
    "SOFTMAX": _always(Softmax()),
    "SQUEEZE": _reshape,
    "SUB": _binary(Sub),
}
