"""Where TFLite keeps each value: pixels as [N, H, W, C], and what that does to flattening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from converters.errors import Refusal, UnsupportedModelError
from converters.graph import Graph, Node
from converters.operators import Clamp, Gemm, Reshape, Shape
from edge.tensors import Array

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Placed:
    """How TFLite holds one value.

    `shape`: the tensor's shape; `flattened`: for a vector that was an image, the [C, H, W] whose
    pixels lie in it in H, W, C order; None for every other value.
    """

    shape: Shape
    flattened: Shape | None = None

    def column_order(self) -> Array | None:
        """Return for a flattened vector the ONNX index of each of its entries, else None."""
        if self.flattened is None:
            return None
        order: Array = np.arange(np.prod(self.flattened)).reshape(self.flattened)
        return order.transpose(1, 2, 0).reshape(-1)

    def to_onnx(self, array: Array) -> Array:
        """Return an array of this tensor in the order of ONNX (a view where possible)."""
        if array.ndim == 4:
            return array.transpose(TO_NCHW)
        order = self.column_order()
        return array if order is None else array[..., np.argsort(order)]


def place(graph: Graph) -> Mapping[str, Placed]:
    """Return where each value lies, so that no operator needs a transpose.

    An image that is flattened into a vector keeps its NHWC order: the Gemm behind it takes its
    columns in that order instead.
    Raises: UnsupportedModelError: a Reshape, or a reader of a flattened image, for which a
        transpose would be needed.
    """
    placed = {graph.input: Placed(nhwc(graph.input_shape))}
    refusals = []
    for node in graph.nodes:
        source = placed[node.inputs[0]]
        shape = graph.shapes[node.output]
        if isinstance(node.operator, Reshape):
            reason, flattened = _reshape(graph.shapes[node.inputs[0]], shape, source)
        else:
            reason, flattened = _other(graph, node, source)
        if reason is not None:
            refusals.append(Refusal(node.name, node.kind, reason))
        placed[node.output] = Placed(nhwc(shape), flattened)
    if refusals:
        raise UnsupportedModelError(graph.name, refusals)
    return placed


def nhwc(shape: Shape) -> Shape:
    """Return the shape of a value in TFLite."""
    return tuple(shape[axis] for axis in TO_NHWC) if len(shape) == 4 else shape


def _reshape(before: Shape, after: Shape, source: Placed) -> tuple[str | None, Shape | None]:
    if source.flattened is not None:
        return "reshapes an image that was flattened; that needs a transpose", None
    if len(before) == 4 and len(after) == 2 and before[2:] != (1, 1):
        return None, before[1:]
    moves = 4 in (len(before), len(after)) and not (_is_vector(before) and _is_vector(after))
    if moves:
        return f"from {before} to {after} needs a transpose in TFLite's layout", None
    return None, None


def _is_vector(shape: Shape) -> bool:
    return len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))


def _other(graph: Graph, node: Node, source: Placed) -> tuple[str | None, Shape | None]:
    if source.flattened is None or isinstance(node.operator, Gemm):
        return None, None
    if isinstance(node.operator, Clamp) and node.output not in graph.outputs:
        return None, source.flattened
    return "reads a flattened image; only a Gemm or a clamp may", None


def flattened_outputs(graph: Graph, placed: Mapping[str, Placed]) -> tuple[str, ...]:
    """Return the outputs that would leave the model in another order than ONNX's."""
    return tuple(name for name in graph.outputs if placed[name].flattened is not None)
