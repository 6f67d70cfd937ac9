"""ReduceMean over height and width, which is a global average pool; other axes are refused."""

from __future__ import annotations

from converters.onnx_import.source import Emit, RefusedError, SourceNode
from converters.operators import GlobalAveragePool, Reshape


def convert(node: SourceNode) -> Emit:
    """Without kept dimensions the pool is followed by a Reshape to [N, C]."""
    x = node.activation(0)
    rank = len(x.shape)
    # Opset 18 turned the attribute into an input.
    axes = node.whole_numbers(1) if node.opset >= 18 else node.attribute("axes", [])
    if rank != 4 or sorted(axis + rank if axis < 0 else axis for axis in axes or []) != [2, 3]:
        raise RefusedError(
            f"axes {axes or []} of {x.shape}; supported is the mean over height and width"
        )
    keep = bool(node.attribute("keepdims", 1))
    return Emit(GlobalAveragePool(), (x,), then=None if keep else Reshape(x.shape[:2]))
