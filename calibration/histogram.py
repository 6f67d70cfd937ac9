"""Counts of a tensor's values in bounded memory, whatever their number and order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError
from edge.tensors import F32, Array

# Bins on each side of zero, the one around zero counted on both.
BINS = 2048
# The narrowest bin is 2**MIN_EXPONENT: smaller values are zero for any purpose here, and its
# reciprocal is still a normal float32.
MIN_EXPONENT = -100


class ObserverError(CalibrationError):
    """A tensor's values have no range, or a range table cannot be read."""


class StreamingHistogram:
    """Exact minimum, maximum and counts of float32 values, in 4095 bins, however many values.

    The bins' width is a power of two, 2**exponent, the smallest at which `BINS` of them reach the
    largest magnitude seen. Bin k holds the values with trunc(value / width) == k: the middle one
    reaches from -width to width, zero in its centre. As a value outgrows the bins, the width
    doubles and neighbours merge, trunc(k / 2), which is exact; so the state is a function of the
    values alone, whatever their order and however they were split among histograms and merged.

    `low`, `high`: of all values (0.0 before any); `size`: how many were seen; `counts`: int64
    [4095], of the values that entered the bins; `name` only serves messages.
    """

    __slots__ = ("counts", "exponent", "high", "low", "name", "size")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.low = 0.0
        self.high = 0.0
        self.size = 0
        self.exponent = MIN_EXPONENT
        self.counts: NDArray[np.int64] = np.zeros(2 * BINS - 1, np.int64)

    def update(self, values: Array, sample: int | None = None) -> None:
        """Take in `values` (float32, any shape).

        With `sample`, minimum and maximum are still those of all values, but only about that many
        at most enter the bins: every n-th in memory order, n coprime to their number, so that
        every row, column and channel gets its share.
        Raises: ObserverError: there is a NaN or an infinity among them.
        """
        flat: F32 = np.asarray(values, np.float32).ravel()
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())  # NaN propagates through both
        if not (math.isfinite(low) and math.isfinite(high)):
            found = "NaN" if math.isnan(low) else "infinite values"
            raise ObserverError(
                f"tensor {self.name!r} holds {found}; only finite values have a range. Check the "
                "model's weights and that its preprocessing is the one it was trained with."
            )
        self._cover(low, high, flat.size)
        if sample is not None:
            flat = flat[:: _stride(flat.size, sample)]
        # The reciprocal of a power of two is exact, and so is the product.
        index = (flat * np.float32(2.0**-self.exponent)).astype(np.int64)
        index += BINS - 1
        self.counts += np.bincount(index, minlength=2 * BINS - 1)

    def merge(self, other: StreamingHistogram) -> StreamingHistogram:
        """Return the histogram of the values of both; neither changes."""
        merged = StreamingHistogram(self.name)
        for part in (self, other):
            if part.size:
                merged._cover(part.low, part.high, part.size)
        for part in (self, other):
            merged.counts += _folded(part.counts, merged.exponent - part.exponent)
        return merged

    def __getstate__(self) -> tuple[str, float, float, int, int, int, NDArray[np.integer]]:
        """Return what another process needs, in a tenth of the bytes: most bins are empty."""
        used = np.flatnonzero(self.counts)
        first, stop = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        counts = self.counts[first:stop]
        narrow = counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
        return self.name, self.low, self.high, self.size, self.exponent, first, narrow

    def __setstate__(
        self, state: tuple[str, float, float, int, int, int, NDArray[np.integer]]
    ) -> None:
        self.name, self.low, self.high, self.size, self.exponent, first, counts = state
        self.counts = np.zeros(2 * BINS - 1, np.int64)
        self.counts[first : first + counts.size] = counts

    def __eq__(self, other: object) -> bool:
        """Whether both saw the same values, as far as their state tells; names do not matter."""
        if not isinstance(other, StreamingHistogram):
            return NotImplemented
        mine = (self.low, self.high, self.size, self.exponent)
        theirs = (other.low, other.high, other.size, other.exponent)
        return mine == theirs and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # mutable

    @property
    def width(self) -> float:
        return 2.0**self.exponent

    def centres(self) -> NDArray[np.float64]:
        """Return float64 [4095]: the middle of each bin, no further out than `low` and `high`."""
        k = np.arange(1 - BINS, BINS, dtype=np.float64)
        return np.clip((k + 0.5 * np.sign(k)) * self.width, self.low, self.high)

    def _cover(self, low: float, high: float, size: int) -> None:
        """Count `size` values between `low` and `high`, and make the bins reach both."""
        self.low = min(self.low, low) if self.size else low
        self.high = max(self.high, high) if self.size else high
        self.size += size
        # frexp: magnitude < 2**power, so that trunc(magnitude / width) <= BINS - 1. Of zero it
        # gives power 0, which says nothing: the bin around zero is there at any width.
        magnitude = max(-self.low, self.high)
        _, power = math.frexp(magnitude) if magnitude else (0.0, MIN_EXPONENT)
        exponent = max(self.exponent, power - (BINS.bit_length() - 1))
        self.counts = _folded(self.counts, exponent - self.exponent)
        self.exponent = exponent


def _folded(counts: NDArray[np.int64], doublings: int) -> NDArray[np.int64]:
    """Return the counts of the same values in bins 2**doublings as wide."""
    if not doublings:
        return counts
    merged = 2 ** min(doublings, BINS.bit_length() - 1)  # of so many on each side becomes one
    left = BINS // merged
    folded = np.zeros_like(counts)
    centre = BINS - 1
    folded[centre : centre + left] = counts[centre:].reshape(left, merged).sum(axis=1)
    folded[centre::-1][:left] += counts[centre::-1].reshape(left, merged).sum(axis=1)
    folded[centre] -= counts[centre]  # which is on both sides
    return folded


def _stride(size: int, sample: int) -> int:
    stride = -(-size // sample)
    while math.gcd(stride, size) != 1:
        stride += 1
    return stride
