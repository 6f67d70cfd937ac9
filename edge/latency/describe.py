"""What a summary says in words: the same for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from edge.latency import describe_incidents
from edge.latency.log_lines import RunHeader
from edge.latency.summary import Summary
from edge.page import duration, milliseconds, percent

# Of a service that was started a thousand times, not each start is told.
MAX_DISTINCT = 8
STAGE_MEANING = {
    "capture": "sensor to arrival",
    "queue": "arrival to start",
    "preprocess": "frame to input tensor",
    "inference": "the model",
    "postprocess": "output to label",
    "total": "arrival to label",
    "age": "sensor to label",
}
# The groups of facts in a run's header, and what a name of each is called.
GROUPS = {"board": "board", "camera": "camera", "versions": "version of"}


def title(summary: Summary) -> str:
    """Return what ran: the names in the cards, or the files' names."""
    return distinct(
        run.header.card or PurePath(run.header.model).name or "unnamed model"
        for run in summary.runs
    )


def setting(summary: Summary) -> str:
    """Return runtime, threads, board and source in one line."""
    headers = [run.header for run in summary.runs]
    threads = distinct(str(header.threads) for header in headers)
    parts = (
        distinct(header.runtime for header in headers),
        f"{threads} thread" + ("" if threads == "1" else "s"),
        distinct(header.board.get("model", "") for header in headers),
        distinct(header.source for header in headers),
    )
    return " · ".join(part for part in parts if part)


def facts(summary: Summary) -> tuple[tuple[str, str], ...]:
    """Return names and values of what the runs' headers know, values joined where they differ."""
    headers = [run.header for run in summary.runs]
    reasons = (run.reason for run in summary.runs if run.reason is not None)
    pairs = [
        ("model", distinct(header.model for header in headers)),
        ("model sha256", distinct(header.model_sha256 for header in headers)),
        ("card", distinct(header.card for header in headers)),
        ("runtime", distinct(header.runtime for header in headers)),
        ("threads", distinct(str(header.threads) for header in headers)),
        ("source", distinct(header.source for header in headers)),
        ("frame time from", distinct(header.timestamps for header in headers)),
        ("started", distinct(header.started for header in headers)),
        ("measured", duration(summary.measured_ns / 1e9)),
        ("ended", distinct(reasons)),
        ("clock", distinct(header.clock for header in headers)),
    ]
    for group in GROUPS:
        pairs += [(name, distinct(values)) for name, values in _grouped(headers, group)]
    return tuple((name, value) for name, value in pairs if value)


def temperature(summary: Summary) -> str:
    """Return the range of temperatures, or that it is not known."""
    if summary.temperature_c is None:
        return "temperature not known"
    low, high = summary.temperature_c
    return f"{low:.1f} to {high:.1f} °C" if low != high else f"{low:.1f} °C"


def throttling(summary: Summary) -> str:
    """Return in how many intervals the board slowed itself, as far as is known."""
    if summary.throttled_intervals is None:
        return "throttling not known"
    if not summary.throttled_intervals:
        # Not "never": between two checks a flag that was on before comes and goes unseen.
        return f"not throttled at any of {summary.throttle_checks:,} checks"
    flags = f" ({', '.join(summary.throttle_flags)})" if summary.throttle_flags else ""
    return (
        f"throttled in {summary.throttled_intervals} of {len(summary.intervals)} intervals{flags}"
    )


def skipped(summary: Summary) -> str:
    """Return the share of captured frames that nobody looked at, with its unit."""
    return f"{percent(summary.skipped, summary.captured)} %"


def rows(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """Return a row a stage: its name, how many frames, and the FIGURES in ms."""
    shown = ((stage, summary.stages[stage]) for stage in summary.shown_stages)
    return tuple(
        (stage, f"{stats.count:,}", *map(milliseconds, stats.figures_ns)) for stage, stats in shown
    )


def cautions(summary: Summary) -> tuple[str, ...]:
    """Return, a sentence each, what a reader must know before trusting the figures."""
    killed = sum(run.was_killed for run in summary.runs)
    missing = sum(run.missing_parts for run in summary.runs)
    found = [
        (
            killed,
            "the run has no summary: it was killed, or it still goes on"
            if len(summary.runs) == 1
            else f"{killed} of {len(summary.runs)} runs have no summary: killed, or still going on",
        ),
        (
            missing,
            f"parts of the log that were not given: {missing} (files rotated to NAME.1, ...)",
        ),
        (
            summary.throttled_intervals or 0,
            f"{throttling(summary)}: these run slower than the rest",
        ),
        (
            summary.negative,
            (
                f"durations below zero, counted as 0: {summary.negative:,}; the clocks of source "
                "and loop do not agree"
            ),
        ),
        (summary.above, f"durations above 24 h, counted as 24 h: {summary.above:,}"),
        (
            summary.lost_intervals,
            f"intervals that could not be written (disk full?): {summary.lost_intervals:,}",
        ),
        (
            summary.unaccounted,
            (
                f"frames that were captured, but neither processed nor skipped, or the other way "
                f"round: {summary.unaccounted:,}; this is a fault of edge-live, please report it"
            ),
        ),
        (
            not summary.stages["total"].count,
            "no frame was timed: none came, or the run ended before its first interval",
        ),
    ]
    return (
        *(text for count, text in found if count),
        *describe_incidents.sentences(summary.incidents),
        *summary.problems,
    )


def remarks(summary: Summary) -> tuple[str, ...]:
    """Return what explains the figures without being a fault."""
    lines = []
    blind = sum(run.header.timestamps == "arrival" for run in summary.runs)
    if blind == len(summary.runs):
        lines.append(
            "The source does not say when a frame was exposed: capture and age are not known."
        )
    elif blind:
        lines.append(
            "Runs whose source does not say when a frame was exposed do not count in capture and "
            f"age: {blind} of {len(summary.runs)}."
        )
    return tuple(lines)


def _grouped(headers: list[RunHeader], group: str) -> list[tuple[str, list[str]]]:
    facts_of: list[Mapping[str, str]] = [getattr(header, group) for header in headers]
    names = dict.fromkeys(name for known in facts_of for name in known)
    return [
        (f"{GROUPS[group]} {name}", [known.get(name, "") for known in facts_of]) for name in names
    ]


def distinct(values: Iterable[str]) -> str:
    """Return the values that are not empty, each once, and how many more there are."""
    distinct = list(dict.fromkeys(value for value in values if value))
    more = len(distinct) - MAX_DISTINCT
    return ", ".join(distinct[:MAX_DISTINCT]) + (f" and {more:,} more" if more > 0 else "")
