"""Where TFLite keeps each value: pixels as [N, H, W, C], and a vector as an image of one pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converters.errors import Refusal, UnsupportedModelError
from converters.graph import Graph, Node
from converters.operators import Clamp, Gemm, Reshape, Shape
from edge.tensors import Array

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Placed:
    """How TFLite holds one value of the shape `onnx`.

    `shape`: the tensor's. A vector [1, C] is held as [1, 1, 1, C], and a vector that was an image
    as that image, [1, H, W, C]: flattening moves nothing.
    """

    onnx: Shape
    shape: Shape

    @property
    def is_flattened(self) -> bool:
        """Whether this is a vector whose entries lie in another order than ONNX's."""
        return len(self.onnx) == 2 and self.shape[1:3] != (1, 1)

    def to_onnx(self, array: Array) -> Array:
        """Return an array of this tensor in the shape and order of ONNX (a view if possible)."""
        if len(self.shape) != 4:
            return array
        return array.reshape(self.shape).transpose(TO_NCHW).reshape(self.onnx)


def place(graph: Graph) -> Mapping[str, Placed]:
    """Return where each value lies, so that no operator needs a transpose.

    Raises: UnsupportedModelError: a Reshape, or a reader of a flattened image, for which one
        would be needed.
    """
    placed = {graph.input: Placed(graph.input_shape, nhwc(graph.input_shape))}
    refusals = []
    for node in graph.nodes:
        sources, shape = [placed[name] for name in node.inputs], graph.shapes[node.output]
        if isinstance(node.operator, Reshape):
            reason = _why_not_reshape(sources[0], shape)
        else:
            reason = _why_not_read(graph, node, sources)
        if reason is not None:
            refusals.append(Refusal(node.name, node.kind, reason))
        stays = len(shape) == 2 and not isinstance(node.operator, Gemm)
        held = sources[0].shape
        placed[node.output] = Placed(shape, held if stays and len(held) == 4 else nhwc(shape))
    if refusals:
        raise UnsupportedModelError(graph.name, refusals)
    return placed


def nhwc(shape: Shape) -> Shape:
    """Return the shape in TFLite of an image, a vector, or anything else."""
    if len(shape) == 2:
        return (shape[0], 1, 1, shape[1])
    return tuple(shape[axis] for axis in TO_NHWC) if len(shape) == 4 else shape


def _why_not_reshape(source: Placed, after: Shape) -> str | None:
    if source.is_flattened:
        return "reshapes an image that was flattened; that needs a transpose"
    ranks = (len(source.onnx), len(after))
    # Values of one pixel lie alike in every layout.
    moves = 4 in ranks and not (_is_pixel(source.onnx) and _is_pixel(after))
    if moves and ranks != (4, 2):
        return f"from {source.onnx} to {after} needs a transpose in TFLite's layout"
    return None


def _is_pixel(shape: Shape) -> bool:
    return len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))


def _why_not_read(graph: Graph, node: Node, sources: Sequence[Placed]) -> str | None:
    if not any(source.is_flattened for source in sources) or isinstance(node.operator, Gemm):
        return None
    if isinstance(node.operator, Clamp) and node.output not in graph.outputs:
        return None
    return "reads a flattened image; only a Gemm or a clamp may"


def flattened_outputs(graph: Graph, placed: Mapping[str, Placed]) -> tuple[str, ...]:
    """Return the outputs that would leave the model in another order than ONNX's."""
    return tuple(name for name in graph.outputs if placed[name].is_flattened)
