"""One handler for each operator of a Graph: the TFLite operators that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converters.graph import Node
from converters.operators import (
    Affine,
    AveragePool,
    Clamp,
    Concat,
    Constant,
    Conv,
    DepthToSpace,
    Expand,
    Gather,
    Gemm,
    LogSoftmax,
    MatMul,
    MaxPool,
    Operator,
    Pad,
    Reshape,
    Resize,
    Slice,
    Softmax,
    SpaceToDepth,
    Tile,
    Transpose,
)
from converters.tflite.context import Context
from converters.tflite.handlers import (
    affine,
    binary,
    clamp,
    concat,
    constant,
    conv,
    expand,
    gather,
    gemm,
    matmul,
    pad,
    pool,
    reduce,
    relabel,
    resize,
    slice,  # noqa: A004
    softmax,
    space,
    unary,
)

Writer = Callable[[Context, Node, Any], None]

WRITERS: Mapping[type[Operator], Writer] = {
    **dict.fromkeys(binary.OPCODES, binary.write),
    **dict.fromkeys(reduce.OPCODES, reduce.write),
    **dict.fromkeys(unary.OPCODES, unary.write),
    Affine: affine.write,
    AveragePool: pool.write,
    Clamp: clamp.write,
    Concat: concat.write,
    Constant: constant.write,
    Conv: conv.write,
    DepthToSpace: space.depth_to_space,
    Expand: expand.expand,
    Gather: gather.write,
    Gemm: gemm.write,
    LogSoftmax: softmax.write,
    MatMul: matmul.write,
    MaxPool: pool.write,
    Pad: pad.write,
    Reshape: relabel.reshape,
    Resize: resize.write,
    Slice: slice.write,
    Softmax: softmax.write,
    SpaceToDepth: space.space_to_depth,
    Tile: expand.tile,
    Transpose: relabel.transpose,
}
