"""An interval for each channel of a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from converters.operators import Clamp
from edge.tensors import F32

F64: TypeAlias = np.typing.NDArray[np.float64]
Mask: TypeAlias = np.typing.NDArray[np.bool_]

# In float32, n products and their sum in any order are off by at most n * 2^-24 of the sum of
# their magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). Twice that, since
# what is multiplied was rounded before.
UNIT = 2.0**-23


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """low <= value <= high in float32 arithmetic: float64 [channels], or [1] for all of them.

    Where both are one number, the channel is that number, to rounding, at every place.
    """

    low: F64
    high: F64

    @property
    def is_constant(self) -> Mask:
        constant: Mask = self.low == self.high
        return constant

    @property
    def largest(self) -> F64:
        """The largest magnitude."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def widened(self, by: F64) -> Bounds:
        """Return the bounds moved apart by a rounding error; a constant stays one number."""
        by = np.where(self.is_constant | ~np.isfinite(by), 0, by)
        return Bounds(self.low - by, self.high + by)

    def clamped(self, clamp: Clamp | None) -> Bounds:
        if clamp is None:
            return self
        low, high = (
            np.minimum(np.maximum(end, clamp.low), clamp.high) for end in (self.low, self.high)
        )
        return Bounds(low, high)


def constant(value: F32) -> Bounds:
    return Bounds(value.astype(np.float64), value.astype(np.float64))


def hull(some: Sequence[Bounds]) -> Bounds:
    """Return what holds for all channels of `some`."""
    low, high = min(one.low.min() for one in some), max(one.high.max() for one in some)
    return Bounds(np.array([low]), np.array([high]))


UNKNOWN = Bounds(np.array([-np.inf]), np.array([np.inf]))
