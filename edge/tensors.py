"""What a model takes and gives: shapes, element types, and the meaning of its integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.errors import EdgeError

Array: TypeAlias = NDArray[Any]
F32: TypeAlias = NDArray[np.float32]
U8: TypeAlias = NDArray[np.uint8]
Layout = Literal["NHWC", "NCHW"]

IMAGE_CHANNELS = (1, 3)
DTYPES = ("float32", "int8", "uint8")
# A few bytes can claim an input of terabytes.
MAX_SIDE = 16384


class TensorError(EdgeError):
    """A model's input or output is not one that an image classifier has."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model.

    `dtype` is "float32", "int8" or "uint8"; for the integers, real = scale * (q - zero_point).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise TensorError(
                f"tensor {self.name!r} holds {self.dtype}; allowed: {', '.join(DTYPES)}. "
                "Convert the model again with edge-convert."
            )
        if not self.scale > 0 or not np.isfinite(self.scale):
            raise TensorError(f"tensor {self.name!r} has scale {self.scale}; it must be positive")
        if self.is_quantized:
            limits = np.iinfo(self.dtype)
            if not limits.min <= self.zero_point <= limits.max:
                raise TensorError(
                    f"tensor {self.name!r} has zero point {self.zero_point}; allowed for "
                    f"{self.dtype}: {limits.min} to {limits.max}. Convert the model again with "
                    "edge-convert."
                )

    @property
    def is_quantized(self) -> bool:
        return self.dtype != "float32"

    def quantize(self, real: F32) -> Array:
        """Return `real` (float32, any shape) as this tensor's element type, saturated.

        Ties round to even, as in ONNX QuantizeLinear.
        """
        if not self.is_quantized:
            return real.astype(np.float32)
        limits = np.iinfo(self.dtype)
        q = np.rint(np.asarray(real, np.float32) / np.float32(self.scale)) + self.zero_point
        clipped: Array = np.clip(q, limits.min, limits.max).astype(self.dtype)
        return clipped

    def dequantize(self, q: Array) -> F32:
        """Return float32 scale * (q - zero_point), same shape as `q`."""
        if not self.is_quantized:
            return np.asarray(q, np.float32)
        real: F32 = (q.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
        return real

    def image_geometry(self) -> tuple[Layout, int, int, int]:
        """Return (layout, height, width, channels) of an image input with batch 1.

        Raises: TensorError: the shape is not that of one image of 1 or 3 channels.
        """
        is_batch_of_one = len(self.shape) == 4 and self.shape[0] == 1
        if is_batch_of_one and all(1 <= size <= MAX_SIDE for size in self.shape):
            _, a, b, c = self.shape
            if c in IMAGE_CHANNELS:
                return "NHWC", a, b, c
            if a in IMAGE_CHANNELS:
                return "NCHW", b, c, a
        raise TensorError(
            f"input {self.name!r} has shape {list(self.shape)}, which is not one image; allowed: "
            f"[1, H, W, C] or [1, C, H, W] with C of 1 or 3, H and W of 1 to {MAX_SIDE}"
        )
