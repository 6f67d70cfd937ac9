"""What is kept of a value over many pictures: its second moments, and each channel's ends.

Of a matrix X [positions x channels], X^T X has the squares of its singular values as eigenvalues,
and grows by a sum over pictures: memory is that of one matrix [channels, channels].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.mobilenet_v2.explore.relu import F64
from edge.tensors import F32

# A direction that holds less than this part of the largest is not counted in the rank: what is
# below 1/256 of a range no int8 could tell from nothing, and this is somewhat above it.
RANK_THRESHOLD = 0.01
# So many rows are gathered: to add up the product of a few takes as long as that of many.
WAITING = 256


@dataclass(frozen=True, slots=True)
class Spectrum:
    """`rank`: how many singular values are above RANK_THRESHOLD of the largest; `effective_rank`:
    how many equal ones would be spread as they are, exp of the entropy of their shares of their sum
    (O. Roy, M. Vetterli: The effective rank, EUSIPCO 2007); both 0 of a matrix of zeros.
    """

    rank: int
    effective_rank: float


class Moments:
    """Sums over all positions of a value with `channels` channels."""

    def __init__(self, channels: int) -> None:
        self.low = np.full(channels, np.inf, np.float32)
        self.high = np.full(channels, -np.inf, np.float32)
        self.positions = 0
        self._second: F64 = np.zeros((channels, channels))
        self._waiting = np.empty((WAITING, channels), np.float32)
        self._held = 0

    def add(self, rows: F32) -> None:
        """Add float32 [positions, channels]."""
        np.minimum(self.low, rows.min(axis=0), out=self.low)
        np.maximum(self.high, rows.max(axis=0), out=self.high)
        self.positions += len(rows)
        if self._held + len(rows) > len(self._waiting):
            self._add_up()
        if len(rows) > len(self._waiting):
            self._multiply(rows)
            return
        self._waiting[self._held : self._held + len(rows)] = rows
        self._held += len(rows)

    def spectrum(self) -> Spectrum:
        self._add_up()
        return spectrum_of(np.sqrt(np.maximum(np.linalg.eigvalsh(self._second), 0.0)))

    def _add_up(self) -> None:
        self._multiply(self._waiting[: self._held])
        self._held = 0

    def _multiply(self, rows: F32) -> None:
        wide = rows.astype(np.float64)
        self._second += wide.T @ wide


def spectrum_of(singular: F64) -> Spectrum:
    """Return the ranks of a matrix by its singular values, in any order."""
    largest = float(singular.max(initial=0.0))
    if largest == 0.0:
        return Spectrum(0, 0.0)
    shares = singular[singular > 0] / singular.sum()
    entropy = -float(np.sum(shares * np.log(shares)))
    return Spectrum(
        int(np.count_nonzero(singular > RANK_THRESHOLD * largest)), float(np.exp(entropy))
    )


def positions_of(value: F32) -> F32:
    """Return [1, C, H, W] as [H W, C]; what has another rank has its channels last."""
    if value.ndim == 4:
        return np.moveaxis(value, 1, -1).reshape(-1, value.shape[1])
    return value.reshape(-1, value.shape[-1])
