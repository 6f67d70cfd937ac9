"""Compute what does not depend on the image: the shape arithmetic that exporters leave behind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from converters.onnx_import.source import RefusedError, Resolved
from edge.tensors import Array

FOLDABLE = frozenset(
    ("Add", "Cast", "CastLike", "Concat", "Div", "Expand", "Floor", "Gather", "Identity", "Mul",
     "Neg", "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze")
)  # fmt: skip
# These give their input, or a part of it, in another shape: mostly a view, never more bytes.
VIEWS = frozenset(("Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"))
# What a few bytes of a file may grow to; weights, however many, are in the file themselves, and
# may be copied once.
MAX_GROWN_BYTES = 8 << 20
NUMBERS = "biuf"


class Constants:
    """Folds the constants of one model, and counts the bytes that they take in all.

    `room_bytes` is what is left of those that the file holds itself and of `MAX_GROWN_BYTES`.
    """

    def __init__(self, opset: int, given: Iterable[Array]) -> None:
        self.opset = opset
        self.room_bytes = MAX_GROWN_BYTES + sum(value.nbytes for value in given)

    def fold(self, node: onnx.NodeProto, inputs: Sequence[Resolved]) -> Array | None:
        """Return the value of a node whose inputs are all constants, None for any other node.

        Raises: RefusedError: the evaluation fails, its inputs are no numbers, or there is no room.
        """
        constants = [value for value in inputs if isinstance(value, np.ndarray)]
        given = [value for value in inputs if value is not None]
        if node.op_type not in FOLDABLE or not given or len(constants) != len(given):
            return None
        _check_numbers(constants)
        size_bytes = _size_bytes(node.op_type, constants)
        if size_bytes > self.room_bytes and node.op_type not in VIEWS:
            raise _too_large(size_bytes)
        result = _evaluate(node, inputs, self.opset)
        _check_numbers([result])
        return self.count(result, constants)

    def count(self, value: Array, inputs: Sequence[Resolved]) -> Array:
        """Return `value`, which a node makes of `inputs`, and count it where it takes memory.

        Raises: RefusedError: there is no room for it.
        """
        if not inputs:  # it stands in the file
            self.room_bytes += value.nbytes
            return value
        if any(isinstance(v, np.ndarray) and np.may_share_memory(v, value) for v in inputs):
            return value
        if value.nbytes > self.room_bytes:
            raise _too_large(value.nbytes)
        self.room_bytes -= value.nbytes
        return value


def _too_large(size_bytes: int) -> RefusedError:
    return RefusedError(
        f"its constant value takes {size_bytes} bytes; all that are computed may together take as "
        f"many as the file's own, and {MAX_GROWN_BYTES >> 20} MiB: fold constants in the exporter"
    )


def _check_numbers(constants: Sequence[Array]) -> None:
    for value in constants:
        if value.dtype.kind not in NUMBERS:
            raise RefusedError(
                f"a constant is of type {value.dtype}; only numbers are computed with"
            )


def _evaluate(node: onnx.NodeProto, inputs: Sequence[Resolved], opset: int) -> Array:
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
            (result,) = ReferenceEvaluator(model).run(None, feeds)
    except Exception as cause:  # the reference implementation raises whatever NumPy raises
        raise RefusedError(f"its constant inputs do not fit together ({cause})") from cause
    return np.asarray(result)


def _size_bytes(op_type: str, constants: Sequence[Array]) -> int:
    """Return at most how many bytes a node gives, but for what a change of type adds."""
    if op_type == "Gather":
        # Every index takes at most the whole of the data.
        data, indices = constants
        return data.nbytes * indices.size
    if op_type in ("Add", "Sub", "Mul", "Div", "Expand"):
        shapes = [value.shape for value in constants]
        try:
            if op_type == "Expand":
                shapes[1] = tuple(int(side) for side in constants[1])
            return math.prod(np.broadcast_shapes(*shapes)) * constants[0].itemsize
        except (TypeError, ValueError) as cause:
            raise RefusedError(f"its constant inputs do not fit together ({cause})") from cause
    return sum(value.nbytes for value in constants)
