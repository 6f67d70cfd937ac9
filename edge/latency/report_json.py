"""The report for machines."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from edge.latency import describe
from edge.latency.compare import Comparison
from edge.latency.summary import Summary


def to_json(summary: Summary) -> dict[str, Any]:
    """Return the figures of a summary as JSON values; durations in ns, unknown things null.

    `incidents` are in all, and for each run those intervals that had any.
    """
    temperature = summary.temperature_c
    return {
        "runs": [
            {
                **asdict(run.header),
                "reason": run.reason,
                "incidents": [
                    {"start_ns": i.start_ns, "end_ns": i.end_ns, **told}
                    for i in run.intervals
                    if (told := replace(i.incidents, longest_gap_ns=0).to_json())
                ],
                "complete": not run.was_killed and not run.missing_parts,
            }
            for run in summary.runs
        ],
        "captured": summary.captured,
        "processed": summary.processed,
        "skipped": summary.skipped,
        "measured_s": summary.measured_ns / 1e9,
        "frames_per_second": summary.frames_per_second,
        "intervals": len(summary.intervals),
        "lost_intervals": summary.lost_intervals,
        "temperature_c": None
        if temperature is None
        else {"min": temperature[0], "max": temperature[1]},
        "throttled_intervals": summary.throttled_intervals,
        "incidents": asdict(summary.incidents),
        "unaccounted": summary.unaccounted,
        "stages": {
            stage: {
                **summary.stages[stage].to_json(),
                "mean": summary.histograms[stage].mean(),
                "negative": summary.histograms[stage].negative,
                "above": summary.histograms[stage].above,
            }
            for stage in summary.shown_stages
        },
        "cautions": list(describe.cautions(summary)),
    }


def comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """Return both summaries, and for each stage the ratios B / A."""
    return {
        "a": to_json(comparison.a),
        "b": to_json(comparison.b),
        "ratios": {
            stage.name: {"p50": stage.p50_ratio, "p99": stage.p99_ratio}
            for stage in comparison.stages
        },
    }
