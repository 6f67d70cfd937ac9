"""Softmax and LogSoftmax along one axis."""

from __future__ import annotations

import math

from converters.onnx_import.source import Activation, SourceNode
from converters.operators import LogSoftmax, Reshape, Softmax


def softmax(node: SourceNode) -> Activation:
    return _along(node, Softmax)


def log_softmax(node: SourceNode) -> Activation:
    return _along(node, LogSoftmax)


def _along(node: SourceNode, kind: type[Softmax | LogSoftmax]) -> Activation:
    """Before opset 13 all axes from `axis` (by default 1) on were taken together as one."""
    x = node.activation(0)
    rank = len(x.shape)
    axis = node.axis(node.attribute("axis", -1 if node.opset >= 13 else 1), rank)
    behind = math.prod(x.shape[axis + 1 :])
    if node.opset >= 13 or behind == 1:
        return node.emit(kind(axis), x)
    together = (math.prod(x.shape[:axis]), x.shape[axis] * behind)
    flat = node.emit(Reshape(together), x, step="flat")
    return node.emit(Reshape(x.shape), node.emit(kind(1), flat, step="along"))
