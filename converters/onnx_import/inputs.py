"""What goes into the network: one image for a classifier, or any values of fixed shapes."""

from __future__ import annotations

import math

import onnx

from converters.errors import ConvertError
from converters.onnx_import.source import Activation
from converters.operators import Shape
from edge.tensors import IMAGE_CHANNELS

MAX_SIDE = 1 << 14
# Of a batch of pictures, which the source model is run on once.
MAX_BATCH_VALUES = 1 << 26


def image_input(
    graph: onnx.GraphProto, constants: frozenset[str], where: str
) -> tuple[tuple[Activation, ...], int]:
    """Return the image input with batch 1, and the batch that the file has (1 when symbolic).

    Args: constants: the names of initializers, which old files list as inputs too.
    Raises: ConvertError: there is not one float32 input that is an image of a fixed size.
    """
    inputs = [info for info in graph.input if info.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(info.name for info in inputs) or "none"
        raise ConvertError(f"{where}: has {len(inputs)} inputs ({names}); a classifier has one")
    info = inputs[0]
    shape = _float_shape(info, where)
    text = _text(shape)
    channels = [axis for axis in (1, 3) if len(shape) == 4 and shape[axis] in IMAGE_CHANNELS]
    if not channels or shape[0] == 0:
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}, which is not one image; "
            "allowed: [batch, C, H, W] or [batch, H, W, C] with C of 1 or 3"
        )
    if not all(0 < side <= MAX_SIDE for side in shape[1:]):
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}; height and width must be fixed "
            f"numbers up to {MAX_SIDE}: export it with the size that the device will use"
        )
    if len(channels) > 1:
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}, which could be [batch, C, H, W] or "
            "[batch, H, W, C]: export it with another height or width"
        )
    if shape[0] > 1 and math.prod(shape) > MAX_BATCH_VALUES:
        raise ConvertError(
            f"{where}: input {info.name!r} has shape {text}; a batch may have {MAX_BATCH_VALUES} "
            "values in all: export it with a batch of 1"
        )
    return (Activation(info.name, (1, *shape[1:])),), max(1, shape[0])


def static_inputs(
    graph: onnx.GraphProto, constants: frozenset[str], where: str
) -> tuple[tuple[Activation, ...], int]:
    """Return all inputs as they are, and 1. Raises: ConvertError: one is not float32 and fixed."""
    given = []
    for info in graph.input:
        if info.name not in constants:
            shape = _float_shape(info, where)
            if not info.type.tensor_type.HasField("shape"):
                raise ConvertError(
                    f"{where}: input {info.name!r} has no shape; only fixed are read"
                )
            if not all(side > 0 for side in shape):
                raise ConvertError(
                    f"{where}: input {info.name!r} has shape {_text(shape)}; only fixed sides "
                    "above 0 are read"
                )
            given.append(Activation(info.name, shape))
    return tuple(given), 1


def _float_shape(info: onnx.ValueInfoProto, where: str) -> Shape:
    """Return an input's shape, with -1 for what is left open."""
    tensor = info.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kinds = {number: kind for kind, number in onnx.TensorProto.DataType.items()}
        kind = kinds.get(tensor.elem_type, "no tensor") if tensor.elem_type else "no tensor"
        raise ConvertError(
            f"{where}: input {info.name!r} is {kind}; only float32 is read: export it in float32"
        )
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)


def _text(shape: Shape) -> str:
    return "[" + ", ".join("?" if side < 0 else str(side) for side in shape) + "]"
