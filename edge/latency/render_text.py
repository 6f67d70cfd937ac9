"""The report on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from edge.latency import describe, describe_incidents
from edge.latency.compare import Comparison
from edge.latency.stats import FIGURES
from edge.latency.summary import Summary
from edge.page import duration, milliseconds
from edge.text import aligned

COLUMNS = 80


def render_text(summary: Summary) -> str:
    """Return the report as lines of at most 80 columns, but for the log's own texts."""
    started = ", ".join(run.header.started for run in summary.runs[:3])
    more = f" and {len(summary.runs) - 3} more" if len(summary.runs) > 3 else ""
    reasons = describe.distinct(run.reason or "no summary" for run in summary.runs)
    lines = [
        describe.title(summary),
        describe.setting(summary),
        f"{started}{more} · {duration(summary.measured_ns / 1e9)} · {reasons}",
        "",
        (
            f"{summary.frames_per_second:.1f} frames/s · captured {summary.captured:,} · "
            f"processed {summary.processed:,} · skipped {summary.skipped:,} "
            f"({describe.skipped(summary)})"
        ),
        f"{describe.temperature(summary)} · {describe.throttling(summary)}",
        *filter(None, [describe_incidents.gap(summary)]),
        "",
        *aligned((("ms", "count", *FIGURES), *describe.rows(summary))),
        "",
        *_wrapped(describe.remarks(summary)),
        *_wrapped(f"note: {text}" for text in describe.cautions(summary)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def render_comparison(comparison: Comparison) -> str:
    """Return two sets of logs beside each other."""
    head = ("ms", "p50 A", "p50 B", "B/A", "p99 A", "p99 B", "B/A")
    rows = [
        (
            stage.name,
            milliseconds(stage.a.p50_ns),
            milliseconds(stage.b.p50_ns),
            _ratio(stage.p50_ratio),
            milliseconds(stage.a.p99_ns),
            milliseconds(stage.b.p99_ns),
            _ratio(stage.p99_ratio),
        )
        for stage in comparison.stages
    ]
    lines = [_side("A", comparison.a), _side("B", comparison.b), "", *aligned((head, *rows))]
    return "\n".join(lines) + "\n"


def _side(name: str, summary: Summary) -> str:
    return (
        f"{name}: {describe.title(summary)} · {describe.setting(summary)}\n"
        f"   {summary.stages['total'].count:,} frames timed · "
        f"{summary.frames_per_second:.1f} frames/s · skipped {describe.skipped(summary)}"
    )


def _ratio(ratio: float | None) -> str:
    return "n/a" if ratio is None else f"{ratio:.2f}"


def _wrapped(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, COLUMNS, break_long_words=False)]
