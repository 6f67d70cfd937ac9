"""Squeeze and Unsqueeze: sides of 1 go or come."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Reshape

AXES_AS_INPUT = 13  # the opset from which on the axes are an input


def squeeze(node: SourceNode) -> Activation:
    x = node.activation(0)
    rank = len(x.shape)
    axes = node.axes(1, AXES_AS_INPUT, rank)
    gone = axes or tuple(axis for axis in range(rank) if x.shape[axis] == 1)
    if not all(x.shape[axis] == 1 for axis in gone):
        raise RefusedError(f"axes {list(gone)} of {x.shape} are not all 1")
    return _reshaped(node, x, tuple(x.shape[a] for a in range(rank) if a not in gone))


def unsqueeze(node: SourceNode) -> Activation:
    x = node.activation(0)
    named = (
        node.whole_numbers(1) if node.opset >= AXES_AS_INPUT else node.attribute("axes", [])
    ) or []
    rank = len(x.shape) + len(named)
    new = {node.axis(axis, rank) for axis in named}
    if len(new) != len(named):
        raise RefusedError(f"axes {named} name one twice")
    rest = iter(x.shape)
    return _reshaped(node, x, tuple(1 if axis in new else next(rest) for axis in range(rank)))


def _reshaped(node: SourceNode, x: Activation, shape: tuple[int, ...]) -> Activation:
    return x if shape == x.shape else node.emit(Reshape(shape), x)
