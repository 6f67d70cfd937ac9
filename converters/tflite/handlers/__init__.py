"""One handler for each operator of a Graph: the TFLite operators that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converters.graph import Node
from converters.operators import (
    Add,
    AveragePool,
    Clamp,
    Conv,
    Gemm,
    GlobalAveragePool,
    MaxPool,
    Operator,
    Reshape,
    Softmax,
)
from converters.tflite.context import Context
from converters.tflite.handlers import (
    add,
    clamp,
    conv,
    gemm,
    global_average_pool,
    pool,
    reshape,
    softmax,
)

Writer = Callable[[Context, Node, Any], None]

WRITERS: Mapping[type[Operator], Writer] = {
    Add: add.write,
    AveragePool: pool.write,
    Clamp: clamp.write,
    Conv: conv.write,
    Gemm: gemm.write,
    GlobalAveragePool: global_average_pool.write,
    MaxPool: pool.write,
    Reshape: reshape.write,
    Softmax: softmax.write,
}
