"""Compute what does not depend on the image: the shape arithmetic that exporters leave behind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from converters.onnx_import.source import RefusedError, Resolved
from edge.tensors import Array

# What a few bytes of a file may grow to; weights, however many, are in the file themselves, and
# may be computed with: standardizing them takes some copies of each.
MAX_GROWN_BYTES = 8 << 20
FILE_COPIES = 4
NUMBERS = "biuf"
# These give their input, or a part of it, in another shape: mostly a view, never more bytes.
VIEWS = frozenset(("Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"))

# (inputs, attributes) to how many values a node makes at most
Bound: TypeAlias = Callable[[Sequence[Array], onnx.NodeProto], int]


def _together(inputs: Sequence[Array], _: onnx.NodeProto) -> int:
    return sum(value.size for value in inputs)


def _broadcast(inputs: Sequence[Array], _: onnx.NodeProto) -> int:
    return math.prod(np.broadcast_shapes(*(value.shape for value in inputs)))


def _expand(inputs: Sequence[Array], _: onnx.NodeProto) -> int:
    shape = tuple(int(side) for side in inputs[1])
    return math.prod(np.broadcast_shapes(inputs[0].shape, shape))


def _filled(inputs: Sequence[Array], _: onnx.NodeProto) -> int:
    return math.prod(int(side) for side in inputs[0])


def _range(inputs: Sequence[Array], _: onnx.NodeProto) -> int:
    start, limit, delta = (float(value.reshape(())) for value in inputs)
    return max(0, math.ceil((limit - start) / delta))


def _tile(inputs: Sequence[Array], _: onnx.NodeProto) -> int:
    return inputs[0].size * math.prod(int(count) for count in inputs[1])


def _pad(inputs: Sequence[Array], node: onnx.NodeProto) -> int:
    sides, pads = list(inputs[0].shape), [int(amount) for amount in inputs[1]]
    named = len(node.input) > 3 and node.input[3]
    axes = [int(axis) for axis in inputs[-1]] if named else range(len(sides))
    for index, axis in enumerate(axes):
        sides[axis] += pads[index] + pads[index + len(axes)]
    return math.prod(max(0, side) for side in sides)


def _convolved(inputs: Sequence[Array], node: onnx.NodeProto) -> int:
    # The evaluator puts what each window sees side by side, and spreads a dilated kernel out.
    x, weight = inputs[:2]
    named = {a.name: [int(number) for number in a.ints] for a in node.attribute}
    padding = 2 * max((0, *named.get("pads", ())))
    pixels = x.shape[0] * math.prod(side + padding for side in x.shape[2:])
    return int(pixels * weight.size * math.prod(named.get("dilations", ())))


def _gather(inputs: Sequence[Array], node: onnx.NodeProto) -> int:
    data, indices = inputs
    axis = next((int(a.i) for a in node.attribute if a.name == "axis"), 0)
    return int(data.size // max(1, data.shape[axis]) * indices.size)


def _gather_nd(inputs: Sequence[Array], node: onnx.NodeProto) -> int:
    data, indices = inputs
    skipped = next((int(a.i) for a in node.attribute if a.name == "batch_dims"), 0)
    rest = data.shape[skipped + indices.shape[-1] :]
    return math.prod(indices.shape[:-1]) * math.prod(rest)


_ONE_EACH = (
    "Abs", "BatchNormalization", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Cos", "CumSum",
    "Erf", "Exp", "Flatten", "Floor", "GatherElements", "Identity", "IsNaN", "Log", "Neg", "Not",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Reciprocal", "Reshape",
    "Round", "ScatterND", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Split", "Sqrt", "Squeeze",
    "Tanh", "Transpose", "Trilu", "Unsqueeze",
)  # fmt: skip
_PAIRED = (
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min",
    "Mod", "Mul", "Or", "Pow", "Sub", "Where", "Xor",
)  # fmt: skip
FOLDABLE: Mapping[str, Bound] = {
    **dict.fromkeys(_ONE_EACH, _together),
    **dict.fromkeys(_PAIRED, _broadcast),
    "ConstantOfShape": _filled,
    "Conv": _convolved,
    "Expand": _expand,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Pad": _pad,
    "Range": _range,
    "Tile": _tile,
}


class Constants:
    """Folds the constants of one model, and counts the bytes that they take in all.

    `room_bytes` is what is left of `FILE_COPIES` of what the file holds itself and of
    `MAX_GROWN_BYTES`.
    """

    def __init__(self, opset: int, given: Iterable[Array]) -> None:
        self.opset = opset
        held_bytes = sum(value.nbytes for value in given)
        self.room_bytes = MAX_GROWN_BYTES + FILE_COPIES * held_bytes

    def fold(self, node: onnx.NodeProto, inputs: Sequence[Resolved]) -> tuple[Array, ...] | None:
        """Return the outputs of a node whose inputs are all constants, None for any other node.

        Raises: RefusedError: the evaluation fails, its inputs are no numbers, or there is no room.
        """
        constants = [value for value in inputs if isinstance(value, np.ndarray)]
        given = [value for value in inputs if value is not None]
        if node.op_type not in FOLDABLE or not given or len(constants) != len(given):
            return None
        _check_numbers(constants)
        if node.op_type in ("Div", "Mod"):
            _check_division(*constants[:2])
        try:
            size = FOLDABLE[node.op_type](constants, node)
        except (ArithmeticError, IndexError, TypeError, ValueError) as cause:
            raise RefusedError(f"its constant inputs do not fit together ({cause})") from cause
        size_bytes = size * constants[0].itemsize
        if size_bytes > self.room_bytes and node.op_type not in VIEWS:
            raise _too_large(size_bytes)
        results = _evaluate(node, inputs, self.opset)
        _check_numbers(results)
        return tuple(self.count(result, constants) for result in results)

    def count(self, value: Array, inputs: Sequence[Resolved]) -> Array:
        """Return `value`, which a node makes of `inputs`, and count it where it takes memory.

        Raises: RefusedError: there is no room for it.
        """
        if not inputs:  # it stands in the file
            self.room_bytes += FILE_COPIES * value.nbytes
            return value
        if any(isinstance(v, np.ndarray) and np.may_share_memory(v, value) for v in inputs):
            return value
        if value.nbytes > self.room_bytes:
            raise _too_large(value.nbytes)
        self.room_bytes -= value.nbytes
        return value


def _too_large(size_bytes: int) -> RefusedError:
    return RefusedError(
        f"its constant value takes {size_bytes} bytes; all that are computed may together take "
        f"{FILE_COPIES} times the file's own, and {MAX_GROWN_BYTES >> 20} MiB: fold constants in "
        "the exporter"
    )


def _check_numbers(constants: Sequence[Array]) -> None:
    for value in constants:
        if value.dtype.kind not in NUMBERS:
            raise RefusedError(
                f"a constant is of type {value.dtype}; only numbers are computed with"
            )


def _check_division(number: Array, divisor: Array) -> None:
    """Refuse what NumPy gives some result for, and a processor stops ONNX Runtime's process at."""
    if divisor.dtype.kind not in "iu":
        return
    smallest = number.dtype.kind == "i" and (number == np.iinfo(number.dtype).min).any()
    if not divisor.all() or (smallest and (divisor == -1).any()):
        raise RefusedError("it divides by zero, or the smallest number there is by -1")


def _evaluate(node: onnx.NodeProto, inputs: Sequence[Resolved], opset: int) -> list[Array]:
    """Return what the onnx package's own reference implementation makes of constants."""
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in node.input if name],
        [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in node.output if name],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    feeds = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, feeds)
    except Exception as cause:  # the reference implementation raises whatever NumPy raises
        raise RefusedError(f"its constant inputs do not fit together ({cause})") from cause
    return [np.asarray(result) for result in results]
