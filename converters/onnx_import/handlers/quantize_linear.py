"""QuantizeLinear and DequantizeLinear: what a value's integers mean in a quantized file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.errors import ConvertError
from converters.onnx_import.source import SHIFTS, Activation, Integers, RefusedError, SourceNode
from converters.operators import Requantize, Shape
from converters.quantize.integers import Dequantized
from converters.quantize.params import QuantParams
from edge.tensors import F32, Array

BYTES = (np.dtype(np.int8), np.dtype(np.uint8))
OUTPUT_TYPES = {onnx.TensorProto.INT8: np.dtype(np.int8), onnx.TensorProto.UINT8: BYTES[1]}
# Constants of 4 bits, which a byte holds as they are.
WIDER = {
    onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.INT4): BYTES[0],
    onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.UINT4): BYTES[1],
}


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Scales and zero points as the file holds them: one each, or one a channel of `axis`."""

    scales: NDArray[np.float32]
    zero_points: Array
    axis: int | None

    def along(self, values: Array, rank: int) -> Array:
        """Return one value a channel in a shape that broadcasts."""
        if self.axis is None:
            return values.reshape(())
        return values.reshape([-1 if axis == self.axis else 1 for axis in range(rank)])

    def params(self) -> QuantParams:
        """Return scales and zero points as int8 counts them. Raises: RefusedError."""
        shift = SHIFTS[self.zero_points.dtype]
        scales = tuple(float(scale) for scale in self.scales)
        zero_points = tuple(int(zero_point) - shift for zero_point in self.zero_points)
        try:
            return QuantParams(scales, zero_points, self.axis)
        except ConvertError as cause:
            raise RefusedError(f"its {cause}") from cause


def quantize(node: SourceNode) -> Integers | Array:
    """Round an activation to integers; of a constant, make them."""
    x = node.operand(0)
    found = node.constant(2)
    named = node.attribute("output_dtype", 0)
    dtype = OUTPUT_TYPES.get(named, BYTES[1]) if found is None else found.dtype
    if dtype not in BYTES or (named and named not in OUTPUT_TYPES):
        kind = str(dtype) if found is not None else f"number {named} of ONNX's"
        raise RefusedError(_wrong_type(kind))
    meaning = _meaning(node, x.shape, dtype)
    if isinstance(x, Activation):
        params = meaning.params()
        return Integers(node.emit(Requantize(params), x), params)
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore"):
        steps = np.rint(x / meaning.along(meaning.scales, x.ndim))
    steps = steps.astype(np.float64) + meaning.along(meaning.zero_points, x.ndim)
    return np.asarray(steps.clip(limits.min, limits.max), dtype)


def dequantize(node: SourceNode) -> Activation | Dequantized:
    """Read integers as the real numbers that they mean."""
    integers = node.inputs[0]
    if isinstance(integers, Integers):
        dtype = found.dtype if (found := node.constant(2)) is not None else None
        if dtype is not None and dtype not in BYTES:
            raise RefusedError(_wrong_type(str(dtype)))
        meaning = _meaning(node, integers.activation.shape, dtype or BYTES[1])
        if meaning.params() != integers.params:
            raise RefusedError(
                "it reads integers under another scale or zero point than they were made with"
            )
        return integers.activation
    if isinstance(integers, Activation):
        raise RefusedError("its input is no integers of a QuantizeLinear before it")
    constant = node.constant(0)
    if constant is None:
        raise RefusedError("input 0 was left out")
    if constant.dtype not in (*BYTES, *WIDER, np.dtype(np.int32)):
        raise RefusedError(_wrong_type(str(constant.dtype)))
    meaning = _meaning(node, constant.shape, constant.dtype)
    return _dequantized(_widened(constant), meaning)


def _widened(integers: Array) -> Array:
    return integers.astype(WIDER.get(integers.dtype, integers.dtype), copy=False)


def _dequantized(integers: Array, meaning: _Meaning) -> Dequantized:
    rank = integers.ndim
    params = None
    if integers.dtype in BYTES:
        steps = integers.astype(np.int16) - meaning.along(meaning.zero_points, rank).astype(
            np.int16
        )
        params = meaning.params() if meaning.axis is None else None
    elif meaning.zero_points.any():
        raise RefusedError("32-bit integers with a zero point other than 0 have no TFLite form")
    else:
        steps = integers
    with np.errstate(over="ignore"):  # who reads it refuses what became infinite
        # Of a value without axes NumPy makes a number, which is no array.
        real: F32 = np.asarray(steps.astype(np.float32) * meaning.along(meaning.scales, rank))
    return Dequantized(real, integers, meaning.scales, params)


def _meaning(node: SourceNode, shape: Shape, dtype: np.dtype[np.generic]) -> _Meaning:
    """Return the scales and zero points of a node. Raises: RefusedError: they have no int8 form."""
    scales, zero_points = node.weights(1), node.constant(2)
    if node.attribute("block_size", 0) or scales.ndim > 1:
        raise RefusedError(
            "scales for blocks of values; TFLite's int8 kernels have one a tensor or one an output "
            "channel: quantize without blocks"
        )
    if (scales < np.finfo(np.float32).tiny).any():
        raise RefusedError(f"scale {scales.min()!r} is no positive normal float32")
    if zero_points is None:
        zero_points = np.zeros(scales.shape, dtype)
    # Exporters write one number as [] or [1], and not always both alike.
    if zero_points.size != scales.size or zero_points.ndim > 1 or zero_points.dtype != dtype:
        raise RefusedError(
            f"zero points {zero_points.dtype}{list(zero_points.shape)} do not fit scales "
            f"{list(scales.shape)} of {dtype} values"
        )
    axis = None
    if scales.size != 1:
        axis = node.axis(node.attribute("axis", 1), len(shape))
        if shape[axis] != scales.size:
            raise RefusedError(f"{scales.size} scales for axis {axis} of a value of shape {shape}")
    return _Meaning(scales.reshape(-1), _widened(zero_points).reshape(-1), axis)


def _wrong_type(dtype: str) -> str:
    return f"integers of type {dtype}; TFLite's kernels compute with 8 bits: quantize to int8"
