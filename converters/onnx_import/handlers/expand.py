"""Expand and Tile: a value repeated."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Expand, Reshape, Tile, broadcast


def expand(node: SourceNode) -> Activation:
    x = node.activation(0)
    target = node.whole_numbers(1)
    if target is None or any(side < 1 for side in target):
        raise RefusedError(f"shape {target}; only sides above 0 are supported")
    if target and len(target) == len(x.shape) and target[0] == node.source_batch:
        target[0] = 1
    shape = broadcast(x.shape, tuple(target))
    if shape == x.shape:
        return x
    aligned = (1,) * (len(shape) - len(x.shape)) + x.shape
    if aligned != x.shape:
        x = node.emit(Reshape(aligned), x, step="" if aligned == shape else "aligned")
    return x if aligned == shape else node.emit(Expand(shape), x)


def tile(node: SourceNode) -> Activation:
    x = node.activation(0)
    repeats = node.whole_numbers(1)
    if repeats is None or len(repeats) != len(x.shape):
        raise RefusedError(f"repeats {repeats} for an input of shape {x.shape}")
    return x if set(repeats) <= {1} else node.emit(Tile(tuple(repeats)), x)
