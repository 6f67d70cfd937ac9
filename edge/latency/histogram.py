"""Counts of durations in log-linear buckets, HdrHistogram's way: small, exact to merge.

Buckets are laid out as HdrHistogram does (Gil Tene, hdrhistogram.org): powers of two, each cut
into equally wide parts, so that every value keeps a fixed number of significant decimal digits.
Two histograms of one layout merge by adding their counts, and nothing is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import EdgeError

I64 = NDArray[np.int64]

# float64 holds every integer up to here; bucket indices are found with its exponent.
MAX_TRACKABLE = 1 << 52
MAX_COUNTS_LENGTH = 1 << 20
MAX_COUNT = 1 << 40


class HistogramError(EdgeError):
    """A histogram's layout or encoding cannot be used, or two layouts do not fit together."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which values share a bucket: HdrHistogram's three numbers, here in nanoseconds.

    Values from `lowest_ns` to `highest_ns` keep `digits` significant decimal digits; values below
    `lowest_ns` have buckets too, as coarse as those at `lowest_ns`.
    """

    lowest_ns: int
    highest_ns: int
    digits: int

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= 5:
            raise HistogramError(f"histogram of {self.digits} digits; allowed: 1 to 5")
        if not (self.lowest_ns >= 1 and 2 * self.lowest_ns <= self.highest_ns <= MAX_TRACKABLE):
            raise HistogramError(
                f"histogram from {self.lowest_ns} to {self.highest_ns} ns; allowed: at least 1, "
                f"at least doubling, at most {MAX_TRACKABLE}"
            )
        if self.unit_bits + self.half_bits > 50 or self.counts_length > MAX_COUNTS_LENGTH:
            raise HistogramError(
                f"histogram from {self.lowest_ns} to {self.highest_ns} ns with {self.digits} "
                f"digits is too large; allowed: {MAX_COUNTS_LENGTH} buckets"
            )

    @property
    def unit_bits(self) -> int:
        """The narrowest bucket is 2**unit_bits ns wide."""
        return self.lowest_ns.bit_length() - 1

    @property
    def half_bits(self) -> int:
        """Each power of two is cut into 2**half_bits buckets."""
        return math.ceil(math.log2(2 * 10**self.digits)) - 1

    @property
    def counts_length(self) -> int:
        smallest_untrackable = 1 << (self.unit_bits + self.half_bits + 1)
        powers = 1
        while smallest_untrackable <= self.highest_ns:
            smallest_untrackable <<= 1
            powers += 1
        return (powers + 1) << self.half_bits

    def index(self, values_ns: I64) -> I64:
        """Return the bucket of each value, int64, same shape; values lie in 0..highest_ns."""
        mask = (1 << (self.unit_bits + self.half_bits + 1)) - 1
        # frexp's exponent is the number of bits of an integer.
        bits = np.frexp((values_ns | mask).astype(np.float64))[1].astype(np.int64)
        shift = bits - (self.half_bits + 1)
        return ((shift - self.unit_bits) << self.half_bits) + (values_ns >> shift)

    def bounds(self, index: I64) -> tuple[I64, I64]:
        """Return the lowest and the highest value of each bucket, ns, both inclusive."""
        half = np.int64(1 << self.half_bits)
        power = np.maximum((index >> self.half_bits) - 1, 0)
        low = (index - power * half) << (power + self.unit_bits)
        return low, low + (np.int64(1) << (power + self.unit_bits)) - 1


# 1 µs to 24 h with 3 digits: 29,696 counts of 8 bytes, 232 KiB a stage.
LATENCY = Layout(lowest_ns=1_000, highest_ns=24 * 3600 * 10**9, digits=3)


@dataclass(frozen=True, slots=True)
class Packed:
    """What a histogram of LATENCY holds, without its empty buckets.

    `index`: the filled buckets, ascending; `counts`: theirs; the rest as in `Histogram`.
    """

    index: I64
    counts: I64
    min_max_ns: tuple[int, int]
    negative: int
    above: int


class Histogram:
    """How often each duration was seen. Written by one thread.

    `negative` and `above` count the values outside 0..layout.highest_ns: they are in `count` too,
    held as the nearest value that fits.
    """

    __slots__ = ("above", "count", "counts", "layout", "max_ns", "min_ns", "negative")

    def __init__(self, layout: Layout = LATENCY) -> None:
        self.layout = layout
        self.counts: I64 = np.zeros(layout.counts_length, np.int64)
        self.count = 0
        self.min_ns = 0
        self.max_ns = 0
        self.negative = 0
        self.above = 0

    def record_many(self, values_ns: I64) -> None:
        """Count `values_ns`, int64, one dimension, unchanged."""
        if not values_ns.size:
            return
        self.negative += int(np.count_nonzero(values_ns < 0))
        self.above += int(np.count_nonzero(values_ns > self.layout.highest_ns))
        held = np.clip(values_ns, 0, self.layout.highest_ns)
        np.add.at(self.counts, self.layout.index(held), 1)
        self._widen(int(held.min()), int(held.max()))
        self.count += held.size

    def add_counts(self, index: I64, counts: I64, min_max_ns: tuple[int, int]) -> None:
        """Add `counts` (positive) to the buckets `index` (ascending, no two alike).

        Args: min_max_ns: the smallest and the largest of the values.
        """
        if not index.size:
            return
        self.counts[index] += counts
        self._widen(*min_max_ns)
        self.count += int(counts.sum())

    def pack(self) -> Packed:
        """Return what this holds, in little memory of its own."""
        return Packed(*self.recorded(), (self.min_ns, self.max_ns), self.negative, self.above)

    def add(self, packed: Packed) -> None:
        """Add everything that `packed` holds."""
        self.add_counts(packed.index, packed.counts, packed.min_max_ns)
        self.negative += packed.negative
        self.above += packed.above

    def merge(self, other: Histogram) -> None:
        """Add everything that `other` holds. Raises: HistogramError: the layouts differ."""
        if other.layout != self.layout:
            raise HistogramError(f"{other.layout} cannot be merged into {self.layout}")
        if other.count:
            self.counts += other.counts
            self._widen(other.min_ns, other.max_ns)
            self.count += other.count
        self.negative += other.negative
        self.above += other.above

    def copy(self) -> Histogram:
        """Return a histogram of its own memory that holds the same."""
        other = Histogram(self.layout)
        other.merge(self)
        return other

    def recorded(self) -> tuple[I64, I64]:
        """Return the buckets that hold something, ascending, and their counts."""
        # NumPy's own indices have 32 bits on 32-bit Arm, and the bounds of a bucket do not fit.
        index = np.flatnonzero(self.counts).astype(np.int64, copy=False)
        return index, self.counts[index]

    def percentile(self, percent: float) -> int:
        """Return, in ns, the smallest value that `percent` of the values do not exceed.

        The nearest-rank definition: the value of rank ceil(percent / 100 * count), at least 1; it
        is the highest of its bucket, and never above the maximum. 0 where nothing is counted.
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: tuple[float, ...]) -> tuple[int, ...]:
        """Return `percentile` of each of `percents`, in one pass."""
        if not self.count:
            return (0,) * len(percents)
        index, counts = self.recorded()
        high = self.layout.bounds(index[ranks(counts, percents)])[1]
        return tuple(min(int(value), self.max_ns) for value in high)

    def mean(self) -> float:
        """Return the mean in ns, each value taken at the middle of its bucket; 0 when empty."""
        if not self.count:
            return 0.0
        index, counts = self.recorded()
        low, high = self.layout.bounds(index)
        middle = (low.astype(np.float64) + high) / 2
        return float(np.dot(middle, counts) / self.count)

    def _widen(self, min_ns: int, max_ns: int) -> None:
        self.min_ns = min(self.min_ns, min_ns) if self.count else min_ns
        self.max_ns = max(self.max_ns, max_ns)


def ranks(counts: I64, percents: tuple[float, ...]) -> I64:
    """Return in which of `counts` (not empty, all positive) each percentile lies.

    Raises: ValueError: a percentile is not in 0..100.
    """
    if not all(0 <= percent <= 100 for percent in percents):
        raise ValueError(f"percentiles {percents}; allowed: 0 to 100")
    total = int(counts.sum())
    # One unit in the last place less, so that 99.9 % of 1000 is rank 999 and not 1000.
    wanted = [
        max(1, math.ceil(math.nextafter(percent, -math.inf) / 100 * total)) for percent in percents
    ]
    return np.searchsorted(np.cumsum(counts), wanted)
