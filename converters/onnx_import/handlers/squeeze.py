"""Squeeze of sides that are 1, behind the batch."""

from __future__ import annotations

from converters.onnx_import.source import Emit, RefusedError, SourceNode
from converters.operators import Reshape


def convert(node: SourceNode) -> Emit:
    x = node.activation(0)
    rank = len(x.shape)
    # Opset 13 turned the attribute into an input.
    axes = node.whole_numbers(1) if node.opset >= 13 else node.attribute("axes", [])
    gone = {axis + rank if axis < 0 else axis for axis in axes or []}
    if not gone or not all(0 < axis < rank and x.shape[axis] == 1 for axis in gone):
        raise RefusedError(
            f"axes {axes or []} of {x.shape}; supported are sides of 1 behind the batch, named"
        )
    return Emit(Reshape(tuple(x.shape[axis] for axis in range(rank) if axis not in gone)), (x,))
