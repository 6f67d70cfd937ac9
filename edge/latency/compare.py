"""Two sets of logs beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from edge.latency.stats import StageStats
from edge.latency.summary import Summary


@dataclass(frozen=True, slots=True)
class StageComparison:
    """One stage of A and of B; a ratio is B / A, None where A took no time or has no frame."""

    name: str
    a: StageStats
    b: StageStats

    @property
    def p50_ratio(self) -> float | None:
        return self._ratio(self.a.p50_ns, self.b.p50_ns)

    @property
    def p99_ratio(self) -> float | None:
        return self._ratio(self.a.p99_ns, self.b.p99_ns)

    def _ratio(self, a_ns: int, b_ns: int) -> float | None:
        return b_ns / a_ns if a_ns and self.b.count else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A and B, stage by stage; only the stages that both know."""

    a: Summary
    b: Summary
    stages: tuple[StageComparison, ...]


def compare(a: Summary, b: Summary) -> Comparison:
    """Hold two summaries against each other."""
    names = [name for name in a.shown_stages if name in b.shown_stages]
    stages = (StageComparison(name, a.stages[name], b.stages[name]) for name in names)
    return Comparison(a, b, tuple(stages))
