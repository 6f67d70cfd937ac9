"""What a handler needs while the file is being written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.graph import Graph, Node
from converters.operators import INFINITY, Clamp, Constant, Pads, Shape, clamp_of
from converters.quantize.rules import rule_of
from converters.tflite.builder import Opcode, TfliteBuilder
from converters.tflite.layout import Layout, Move, arranged, default, moves, order_of_axes
from converters.tflite.numbers import Numbers
from converters.tflite.opcodes import (
    DEQUANTIZE,
    MAXIMUM,
    MINIMUM,
    PAD,
    PADV2,
    QUANTIZE,
    RESHAPE,
    TRANSPOSE,
)
from edge.tensors import Array

FUSED = {
    Clamp(0.0, INFINITY): schema.ActivationFunctionType.RELU,
    Clamp(0.0, 6.0): schema.ActivationFunctionType.RELU6,
    Clamp(-1.0, 1.0): schema.ActivationFunctionType.RELU_N1_TO_1,
}


@dataclass(frozen=True, slots=True)
class Placed:
    """How a tensor lies: its own dimensions, and what of the ONNX value lies where."""

    dims: Shape
    layout: Layout

    def turned(self, array: Array) -> Array:
        """Return a constant in ONNX's order as such a tensor."""
        return np.ascontiguousarray(self.layout.from_onnx(array)).reshape(self.dims)


@dataclass(frozen=True, slots=True)
class Held:
    """The tensor that holds a value, and how."""

    tensor: int
    placed: Placed


@dataclass(slots=True)
class Context:
    """One file being written. `held`: where each value is so far; constants are not in it."""

    builder: TfliteBuilder
    numbers: Numbers
    held: dict[str, Held] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    # The node that is being written, and the values that were transposed, each with for whom.
    reader: str = "the output"
    moves: list[str] = field(default_factory=list)
    _moved: dict[tuple[str, Placed], int] = field(default_factory=dict)
    _reals: dict[int, int] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        return self.numbers.graph

    def shape(self, value: str) -> Shape:
        return self.graph.shapes[value]

    def add_value(self, value: str, placed: Placed) -> int:
        """Add the tensor of a value and return its index."""
        name, params = self.numbers.name(value), self.numbers.params(value)
        dtype = "float32" if params is None else "int8"
        tensor = self.builder.tensor(name, placed.dims, dtype, params)
        self.held[value] = Held(tensor, placed)
        return tensor

    def emit(
        self,
        node: Node,
        opcode: Opcode,
        inputs: Sequence[int],
        placed: Placed,
        options: Any = None,  # noqa: ANN401 (one of the schema's option classes)
    ) -> None:
        """Write a node: its operator, and whatever of its clamp the operator cannot carry."""
        is_float = self.numbers.params(node.output) is None
        in_float = rule_of(node.operator).in_float and not is_float
        clamp = clamp_of(node.operator)
        is_fused = clamp is None or self.fuse(node, clamp, options)
        output = self.add_value(node.output, placed)
        target = output
        if not is_fused:
            target = self.builder.like(output, f"{node.output}/unclamped", placed.dims)
        if in_float or is_float:
            inputs = [self.real(tensor) for tensor in inputs]
        if in_float:
            exact = self.builder.tensor(f"{node.output}/exact", placed.dims, "float32")
            self.builder.operator(opcode, inputs, exact, options)
            self.builder.operator(QUANTIZE, [exact], target)
        else:
            self.builder.operator(opcode, inputs, target, options)
        if clamp is not None and not is_fused:
            self.clamp(clamp, target, output, node.output)

    def real(self, tensor: int) -> int:
        """Return an int8 tensor as float32; any other as it is."""
        source = self.builder.tensors[tensor]
        if source.type != schema.TensorType.INT8:
            return tensor
        if tensor not in self._reals:
            real = self.builder.like(tensor, f"{source.name}/real", source.shape, "float32")
            self.builder.operator(DEQUANTIZE, [tensor], real)
            self._reals[tensor] = real
        return self._reals[tensor]

    def fuse(self, node: Node, clamp: Clamp, options: Any) -> bool:  # noqa: ANN401 (as `emit`)
        """Let the operator's options, or the integers' own limits, do what a clamp does.

        Returns: whether they can.
        """
        params = self.numbers.params(node.output)
        saturates = params is not None and params.saturates_at(clamp.low, clamp.high)
        if hasattr(options, "fusedActivationFunction") and clamp in FUSED:
            options.fusedActivationFunction = FUSED[clamp]
            return True
        return saturates

    def clamp(self, clamp: Clamp, source: int, output: int, value: str) -> None:
        """Write a clamp as MAXIMUM and MINIMUM of constants; both tensors have one scale."""
        steps = [
            (opcode, limit)
            for opcode, limit in ((MAXIMUM, clamp.low), (MINIMUM, clamp.high))
            if abs(limit) != INFINITY
        ]
        for index, (opcode, limit) in enumerate(steps):
            is_last = index == len(steps) - 1
            dims = self.builder.tensors[output].shape
            target = output if is_last else self.builder.like(output, f"{value}/clamped", dims)
            number = self.numbers.constant(value, np.asarray([limit], np.float32))
            constant = self.builder.constant(
                f"{value}/limit {limit:g}", number, self.numbers.params(value)
            )
            options = schema.MaximumMinimumOptionsT()
            self.builder.operator(opcode, [source, constant], target, options)
            source = target

    def is_constant(self, value: str) -> bool:
        return value in self.constants

    def placed(self, value: str) -> Placed:
        """Return how a value lies; a constant lies as it is wanted, and is asked for nowhere."""
        return self.held[value].placed

    def order(self, value: str) -> tuple[int, ...]:
        """Return the order of a value's axes in memory, or a usual one where they are scattered."""
        layout = (
            default(self.shape(value)) if self.is_constant(value) else self.placed(value).layout
        )
        return order_of_axes(layout) or order_of_axes(default(layout.shape)) or ()

    def in_order(self, value: str, order: Sequence[int]) -> int:
        """Return a tensor whose dimensions are the value's axes in `order`."""
        return self.brought(value, in_order(self.shape(value), order))

    def brought(self, value: str, placed: Placed) -> int:
        """Return a tensor that holds a value as `placed`, moved at most once."""
        if (value, placed) not in self._moved:
            self._moved[value, placed] = self._bring(value, placed)
        return self._moved[value, placed]

    def _bring(self, value: str, placed: Placed) -> int:
        builder = self.builder
        if self.is_constant(value):
            name = f"{self.numbers.name(value)}/{len(builder.tensors)}"
            number = self.numbers.constant(value, self.constants[value].value)
            return builder.constant(name, placed.turned(number), self.numbers.params(value))
        held = self.held[value]
        tensor, dims = held.tensor, held.placed.dims
        for move in moves(held.placed.layout, placed.layout):
            order = _order_of_dims(dims, move, placed.dims)
            if order is None:
                tensor = self.reshaped(tensor, move.sizes)
                dims, order = move.sizes, move.order
            tensor = self._transposed(tensor, order)
            self.moves.append(f"{value} for {self.reader}")
            dims = tuple(dims[axis] for axis in order)
        return self.reshaped(tensor, placed.dims)

    def reshaped(self, source: int, dims: Shape) -> int:
        """Return a tensor as one of other dimensions, by a RESHAPE where it is not that already."""
        found = self.builder.tensors[source]
        if tuple(found.shape) == dims:
            return source
        target = self.builder.like(source, f"{found.name}/{len(self.builder.tensors)}", dims)
        self.reshape(source, target)
        return target

    def reshape(self, source: int, output: int) -> None:
        """Add the RESHAPE from one tensor to another."""
        target = self.builder.tensors[output]
        options = schema.ReshapeOptionsT()
        options.newShape = target.shape
        constant = self.builder.constant(f"{target.name}/shape", target.shape)
        self.builder.operator(RESHAPE, [source, constant], output, options)

    def _transposed(self, source: int, order: Sequence[int]) -> int:
        found = self.builder.tensors[source]
        dims = tuple(int(found.shape[axis]) for axis in order)
        target = self.builder.like(source, f"{found.name}/{len(self.builder.tensors)}", dims)
        constant = self.numbers_of(f"{found.name}/order/{target}", order)
        self.builder.operator(TRANSPOSE, [source, constant], target, schema.TransposeOptionsT())
        return target

    def numbers_of(self, name: str, values: object) -> int:
        """Add whole numbers as a constant, int32, and return its tensor."""
        return self.builder.constant(name, np.asarray(values, np.int32))

    def weights(
        self,
        node: Node,
        turn: Callable[[Array], Array],
        axis: int,
        order: Sequence[int] | None = None,
    ) -> list[int]:
        """Add a node's weight and bias (`Numbers.weights`)."""
        return self.numbers.weights(self.builder, node, turn, axis, order)

    def padded(self, node: Node, pads: Pads | None, value: float = 0.0) -> int:
        """Return the pixels [N, H, W, C] of a node's first input, padded where `pads` are given."""
        source = node.inputs[0]
        tensor = self.in_order(source, NHWC)
        if pads is None:
            return tensor
        top, left, bottom, right = pads
        amounts = np.asarray([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        dims = [int(side) for side in self.builder.tensors[tensor].shape]
        dims = [side + int(sum(both)) for side, both in zip(dims, amounts, strict=True)]
        output = self.builder.like(tensor, f"{node.name}/padded", dims)
        inputs = [tensor, self.numbers_of(f"{node.name}/pads", amounts)]
        if value == 0.0:
            # PAD fills with the zero point: real zeros.
            self.builder.operator(PAD, inputs, output, schema.PadOptionsT())
            return output
        filling = self.numbers.constant(source, np.asarray([value], np.float32))
        params = self.numbers.params(source)
        inputs.append(self.builder.constant(f"{node.name}/padding", filling, params))
        self.builder.operator(PADV2, inputs, output, schema.PadV2OptionsT())
        return output


NHWC = (0, 2, 3, 1)


def in_order(shape: Shape, order: Sequence[int]) -> Placed:
    """Return how a tensor lies whose dimensions are the axes of an ONNX `shape` in `order`."""
    return Placed(tuple(shape[axis] for axis in order), arranged(shape, order))


def usual(shape: Shape) -> Placed:
    """Return how a value lies that is free to choose: an image with its channels last."""
    return in_order(shape, NHWC if len(shape) == 4 else range(len(shape)))


def _order_of_dims(dims: Shape, move: Move, target: Shape) -> tuple[int, ...] | None:
    """Return the order that turns a tensor of `dims` into `target` as `move` does, if one does."""
    if len(dims) != len(target):
        return None
    large = [axis for axis, side in enumerate(dims) if side > 1]
    groups, at = [], 0
    for size in move.sizes:
        group = []
        while size > 1 and at < len(large) and size % dims[large[at]] == 0:
            size //= dims[large[at]]  # noqa: PLW2901 (what is left of it)
            group.append(large[at])
            at += 1
        if size > 1:
            return None
        groups.append(group)
    moved = [axis for place in move.order for axis in groups[place]]
    if [dims[axis] for axis in moved] != [side for side in target if side > 1]:
        return None
    ones = iter(axis for axis, side in enumerate(dims) if side == 1)
    larger = iter(moved)
    return tuple(next(ones) if side == 1 else next(larger) for side in target)
