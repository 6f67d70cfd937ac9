"""What an integer means: scale and zero point, and how a range becomes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.errors import ConvertError
from edge.tensors import F32, Array, TensorSpec

QMIN, QMAX = -128, 127
# Kernels refuse, or flush to zero, a scale that is no normal float32; the product of two scales
# that are at least SMALLEST_SCALE still is one.
SMALLEST_NORMAL = 2.0**-126
SMALLEST_SCALE = 2.0**-60


@dataclass(frozen=True, slots=True)
class QuantParams:
    """real = scale * (q - zero_point); one entry, or one for each channel of `axis`.

    Every scale is exactly a float32, so that both file formats hold the same number.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if len(self.scale) != len(self.zero_point) or not self.scale:
            raise ConvertError(f"{len(self.scale)} scales, {len(self.zero_point)} zero points")
        if self.axis is None and len(self.scale) != 1:
            raise ConvertError("several scales need an axis")
        for scale in self.scale:
            if not SMALLEST_NORMAL <= scale < np.inf or scale != float(np.float32(scale)):
                raise ConvertError(f"scale {scale!r} is no positive normal float32")

    @property
    def low(self) -> float:
        """The smallest real value that int8 holds under these (one-entry) parameters."""
        return self.scale[0] * (QMIN - self.zero_point[0])

    @property
    def high(self) -> float:
        """The largest real value that int8 holds under these (one-entry) parameters."""
        return self.scale[0] * (QMAX - self.zero_point[0])

    def saturates_at(self, low: float, high: float) -> bool:
        """Whether the integers' own limits clamp to [low, high], to half a step at either end."""
        # A clamp around zero puts the zero point exactly between two integers, so that the ends
        # move by all of half a step; the rest is the rounding of the scale to float32.
        half = self.scale[0] * 0.5001
        return self.low >= low - half and self.high <= high + half

    def spec(self, name: str, shape: tuple[int, ...], dtype: str) -> TensorSpec:
        """Return the description of a tensor "int8" or "uint8" with these parameters.

        As uint8 the zero point, like every value, is larger by 128: the same network.
        """
        shift = 128 if dtype == "uint8" else 0
        return TensorSpec(name, shape, dtype, self.scale[0], self.zero_point[0] + shift)

    def dequantize(self, q: Array) -> F32:
        """Return float32 scale * (q - zero_point) for int8 `q`, per channel where there is one."""
        # Integers of 8 bits, and their differences, are exact in float32.
        scale, zero_point = (np.asarray(v, np.float32) for v in (self.scale, self.zero_point))
        along = [1] * q.ndim
        if self.axis is not None:
            along[self.axis] = -1
        real: F32 = (q.astype(np.float32) - zero_point.reshape(along)) * scale.reshape(along)
        return real


def from_range(low: float, high: float) -> QuantParams:
    """Return asymmetric int8 parameters that hold [low, high]; zero is exactly representable.

    The range is first widened to hold zero; its ends move by at most half a step.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / (QMAX - QMIN), SMALLEST_SCALE)))
    zero_point = int(np.clip(np.rint(QMIN - low / scale), QMIN, QMAX))
    return QuantParams((scale,), (zero_point,))


def from_table(levels: NDArray[np.float64]) -> QuantParams:
    """Return the parameters with the least squared error over the values an input can take.

    A byte goes through the normalization to one of 256 values a channel: `levels` is all of
    them. Near 256 steps, a scale slightly off puts neighbouring bytes on one integer or leaves
    a constant half-step error, so the best of many is taken instead of the plain range.
    """
    low, high = min(float(levels.min()), 0.0), max(float(levels.max()), 0.0)
    if high == low:
        return from_range(low, high)
    best, least = from_range(low, high), np.inf
    for widening in np.linspace(0.99, 1.03, 81):
        scale = float(np.float32((high - low) / (QMAX - QMIN) * widening))
        centre = QMIN - low / scale
        for zero_point in {int(np.floor(centre)), int(np.ceil(centre))}:
            if not QMIN <= zero_point <= QMAX:
                continue
            q = np.clip(np.rint(levels / scale) + zero_point, QMIN, QMAX)
            error = float(np.square((q - zero_point) * scale - levels).sum())
            if error < least:
                best, least = QuantParams((scale,), (zero_point,)), error
    return best
