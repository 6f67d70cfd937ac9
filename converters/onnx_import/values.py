"""Tensors and attributes of a file as NumPy and Python have them."""

from __future__ import annotations

import onnx

from converters.errors import ConvertError
from converters.onnx_import.source import RefusedError
from edge.tensors import Array


def initializer(tensor: onnx.TensorProto, where: str) -> Array:
    """Return a constant of the graph. Raises: ConvertError: it is float16 or does not fit."""
    if tensor.data_type == onnx.TensorProto.FLOAT16:
        raise ConvertError(
            f"{where}: tensor {tensor.name!r} is float16; export the model in float32"
        )
    try:
        return _to_array(tensor)
    except Exception as cause:  # whatever NumPy makes of bytes that do not fit the dimensions
        raise ConvertError(
            f"{where}: the data of tensor {tensor.name!r} does not fit its shape "
            f"{list(tensor.dims)}; export the model again"
        ) from cause


def _to_array(tensor: onnx.TensorProto) -> Array:
    if any(side < 0 for side in tensor.dims):  # NumPy would take -1 for "whatever is left"
        raise ValueError("a side is negative")
    return onnx.numpy_helper.to_array(tensor)


def attribute(proto: onnx.AttributeProto) -> object:
    """Return an attribute's value. Raises: RefusedError: it is none that a handler reads."""
    try:
        value = onnx.helper.get_attribute_value(proto)
    except ValueError as cause:
        raise RefusedError(f"attribute {proto.name!r} cannot be read") from cause
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        if onnx.external_data_helper.uses_external_data(value):
            raise RefusedError(f"attribute {proto.name!r} keeps its data in another file")
        try:
            return _to_array(value)
        except Exception as cause:  # as in `initializer`
            raise RefusedError(f"attribute {proto.name!r} does not fit its shape") from cause
    if not isinstance(value, int | float | str | list):
        raise RefusedError(f"attribute {proto.name!r} holds a {type(value).__name__}")
    return value
