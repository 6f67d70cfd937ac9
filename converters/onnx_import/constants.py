"""Compute what does not depend on the image: the shape arithmetic that exporters leave behind."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from converters.onnx_import.source import RefusedError, Resolved
from edge.tensors import Array

# All but Expand, Gather and the arithmetic give no more values than their inputs hold together.
FOLDABLE = frozenset(
    ("Add", "Cast", "CastLike", "Concat", "Div", "Expand", "Floor", "Gather", "Identity", "Mul",
     "Neg", "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze")
)  # fmt: skip
# What a few bytes of a file may grow to; weights, however many, are in the file themselves.
MAX_GROWN = 1 << 20


def fold(node: onnx.NodeProto, inputs: Sequence[Resolved], opset: int) -> Array | None:
    """Return the value of a node whose inputs are all constants, None when it is not such a node.

    Evaluated by the onnx package's own reference implementation.
    Raises: RefusedError: the evaluation fails, or would be larger than its inputs and `MAX_GROWN`.
    """
    constants = [value for value in inputs if isinstance(value, np.ndarray)]
    given = [value for value in inputs if value is not None]
    if node.op_type not in FOLDABLE or not given or len(constants) != len(given):
        return None
    size = _size(node.op_type, constants)
    if size > max(MAX_GROWN, sum(value.size for value in constants)):
        raise RefusedError(f"its constant value would hold {size} numbers")
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


def _size(op_type: str, constants: Sequence[Array]) -> int:
    """Return at most how many values a node gives."""
    if op_type == "Gather":
        # Every index takes at most the whole of the data.
        data, indices = constants
        return data.size * indices.size
    if op_type in ("Add", "Sub", "Mul", "Div", "Expand"):
        shapes = [value.shape for value in constants]
        try:
            if op_type == "Expand":
                shapes[1] = tuple(int(side) for side in constants[1])
            return math.prod(np.broadcast_shapes(*shapes))
        except (TypeError, ValueError) as cause:
            raise RefusedError(f"its constant inputs do not fit together ({cause})") from cause
    return sum(value.size for value in constants)
