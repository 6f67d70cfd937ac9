"""One handler for each ONNX operator: it says why it cannot, or what the node is in a Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converters.onnx_import.handlers import (
    add,
    average_pool,
    batch_normalization,
    cast_like,
    clip,
    constant,
    conv,
    flatten,
    gemm,
    global_average_pool,
    identity,
    matmul,
    max_pool,
    reduce_mean,
    relu,
    reshape,
    softmax,
    squeeze,
)
from converters.onnx_import.source import Converted, SourceNode

Handler = Callable[[SourceNode], Converted]

HANDLERS: Mapping[str, Handler] = {
    "Add": add.convert,
    "AveragePool": average_pool.convert,
    "BatchNormalization": batch_normalization.convert,
    "CastLike": cast_like.convert,
    "Clip": clip.convert,
    "Constant": constant.convert,
    "Conv": conv.convert,
    "Dropout": identity.convert,
    "Flatten": flatten.convert,
    "Gemm": gemm.convert,
    "GlobalAveragePool": global_average_pool.convert,
    "Identity": identity.convert,
    "MatMul": matmul.convert,
    "MaxPool": max_pool.convert,
    "ReduceMean": reduce_mean.convert,
    "Relu": relu.convert,
    "Reshape": reshape.convert,
    "Softmax": softmax.convert,
    "Squeeze": squeeze.convert,
}
