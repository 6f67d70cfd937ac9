"""Constant: a value written in the graph."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import RefusedError, SourceNode
from edge.tensors import Array

NUMBERS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def convert(node: SourceNode) -> Array:
    value = node.attributes.get("value")
    if isinstance(value, np.ndarray):
        return value
    for name, dtype in NUMBERS.items():
        if name in node.attributes:
            return np.asarray(node.attributes[name], dtype)
    raise RefusedError("holds no number; sparse and text constants are not supported")
