"""The few figures that stand for a stage."""

from __future__ import annotations

from dataclasses import dataclass

from edge.latency.histogram import I64, LATENCY, Histogram, Layout, Packed, ranks

PERCENTS = (50.0, 90.0, 99.0, 99.9)
# What the log and the reports call the figures of a stage, in their order.
FIGURES = ("min", "p50", "p90", "p99", "p99.9", "max")


@dataclass(frozen=True, slots=True)
class StageStats:
    """How many durations there were, and the figures of their distribution in ns."""

    count: int = 0
    min_ns: int = 0
    p50_ns: int = 0
    p90_ns: int = 0
    p99_ns: int = 0
    p999_ns: int = 0
    max_ns: int = 0

    @classmethod
    def of(cls, histogram: Histogram) -> StageStats:
        """Return the figures of a histogram; all zero for an empty one."""
        index, counts = histogram.recorded()
        return cls.of_counts(histogram.layout, index, counts, (histogram.min_ns, histogram.max_ns))

    @classmethod
    def of_packed(cls, packed: Packed) -> StageStats:
        """Return the figures of what a histogram of LATENCY holds."""
        return cls.of_counts(LATENCY, packed.index, packed.counts, packed.min_max_ns)

    @classmethod
    def of_counts(
        cls, layout: Layout, index: I64, counts: I64, min_max_ns: tuple[int, int]
    ) -> StageStats:
        """Return the figures of the filled buckets `index` and their `counts`, ascending."""
        if not index.size:
            return cls()
        min_ns, max_ns = min_max_ns
        high = layout.bounds(index[ranks(counts, PERCENTS)])[1]
        p50, p90, p99, p999 = (min(int(value), max_ns) for value in high)
        return cls(int(counts.sum()), min_ns, p50, p90, p99, p999, max_ns)

    @property
    def figures_ns(self) -> tuple[int, ...]:
        """The figures in the order of FIGURES."""
        return (self.min_ns, self.p50_ns, self.p90_ns, self.p99_ns, self.p999_ns, self.max_ns)

    def to_json(self) -> dict[str, int]:
        """Return the count and the figures under the names that the log uses, in ns."""
        return {"count": self.count, **dict(zip(FIGURES, self.figures_ns, strict=True))}
