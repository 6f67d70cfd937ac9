"""The report as one HTML file."""

from __future__ import annotations

from edge.latency import describe, describe_incidents, plots
from edge.latency.stats import FIGURES, StageStats
from edge.latency.summary import Summary
from edge.page import (
    Facts,
    Figure,
    Figures,
    Note,
    Section,
    Table,
    Tile,
    Tiles,
    duration,
    milliseconds,
    percent,
    render_page,
)


def render_html(summary: Summary) -> str:
    """Return the report as a self-contained document.

    Raises: MissingExtraError: jinja2 or matplotlib is not installed.
    """
    sections = [Section("", [_headline(summary), *_cautions(summary)])]
    if overview := plots.overview(summary):
        sections += [
            Section("At a glance", [_figures(overview, summary), *_no_health(summary)]),
            Section("Each stage", [_figures(plots.stage_plots(summary), summary)]),
        ]
    sections += [
        Section("Stages in milliseconds", [_table(summary), *_remarks(summary)]),
        *_incidents(summary),
        Section("The run" if len(summary.runs) == 1 else "The runs", [_facts(summary)]),
    ]
    return render_page(describe.title(summary), sections, subtitle=describe.setting(summary))


def _headline(summary: Summary) -> Tiles:
    total, inference = summary.stages["total"], summary.stages["inference"]
    return Tiles(
        (
            _latency_tile("total, median", total.p50_ns, "arrival to label"),
            _latency_tile("total, p99", total.p99_ns, f"of {total.count:,} frames"),
            _latency_tile("inference, median", inference.p50_ns, "the model alone"),
            _latency_tile("inference, p99", inference.p99_ns, _spread(inference)),
            Tile(
                "frame rate",
                f"{summary.frames_per_second:.1f}",
                "fps",
                f"for {duration(summary.measured_ns / 1e9)}",
            ),
            Tile(
                "skipped",
                percent(summary.skipped, summary.captured),
                "%",
                f"{summary.skipped:,} of {summary.captured:,} frames",
            ),
        )
    )


def _latency_tile(label: str, value_ns: int, note: str) -> Tile:
    return Tile(label, milliseconds(value_ns), "ms", note)


def _spread(stats: StageStats) -> str:
    return f"{stats.p99_ns / stats.p50_ns:.1f} times the median" if stats.p50_ns else ""


def _figures(shown: tuple[plots.Plot, ...], summary: Summary) -> Figures:
    return Figures(
        tuple(Figure(plots.svg(plot, summary), plot.title, plot.caption) for plot in shown)
    )


def _cautions(summary: Summary) -> list[Note]:
    return [
        Note(f"{text[0].upper()}{text[1:]}.", warning=True) for text in describe.cautions(summary)
    ]


def _no_health(summary: Summary) -> list[Note]:
    if summary.temperature_c is not None:
        return []
    return [Note("The temperature is not known: the board, or the log, does not say it.")]


def _remarks(summary: Summary) -> list[Note]:
    return [Note(text) for text in describe.remarks(summary)]


def _incidents(summary: Summary) -> list[Section]:
    found = describe_incidents.rows(summary)
    return [Section("Incidents", [Table(("after", "what"), found)])] if found else []


def _table(summary: Summary) -> Table:
    return Table(("stage", "frames", *FIGURES), describe.rows(summary), minor=frozenset({1, 2, 4}))


def _facts(summary: Summary) -> Facts:
    return Facts(
        (
            *describe.facts(summary),
            ("temperature", describe.temperature(summary)),
            ("throttling", describe.throttling(summary)),
            *([("frames", gap)] if (gap := describe_incidents.gap(summary)) else []),
        )
    )
