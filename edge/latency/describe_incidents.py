"""What befell a run, in words: pauses, clocks, outages and pictures that are none."""

from __future__ import annotations

from collections.abc import Iterator

from edge.latency.incidents import Incidents, Tally
from edge.latency.read import LoggedInterval
from edge.latency.summary import Summary
from edge.page import duration

MAX_ROWS = 50
# What each kind is called where there is room for two words.
WORDS = {
    "outages": "camera lost",
    "pauses": "stood still",
    "suspends": "asleep",
    "clock_steps": "clock set",
    "broken": "broken frames",
    "blank": "blank picture",
    "identical": "frozen picture",
    "resized": "other size",
}


def words(found: Incidents) -> tuple[str, ...]:
    """Return two words for each kind of incident that there was, those of the camera first."""
    there = found.to_json()
    return tuple(said for kind, said in WORDS.items() if kind in there)


def sentences(found: Incidents) -> tuple[str, ...]:
    """Return a sentence for each kind of incident that there was."""
    return tuple(_sentences(found))


def _sentences(found: Incidents) -> Iterator[str]:
    if found.pauses.count:
        yield (
            f"the loop stood still {_often(found.pauses)} (stopped, swapped out, or starved by "
            f"other work); labelled frames that have such a time in theirs: {found.interrupted:,}"
        )
    if found.suspends.count:
        yield f"the machine slept {_often(found.suspends)}: no figure has that time in it"
    if found.clock_steps.count:
        yield (
            f"the wall clock was set {_times(found.clock_steps.count)}, by up to "
            f"{_signed(found.clock_steps.longest_ns)}: no figure has that in it, but dates have"
        )
    if found.outages.count:
        yield f"the camera was lost {_often(found.outages)}"
    elif found.outages.total_ns:  # the rest of one that began earlier
        yield f"the camera was still lost, for another {_seconds(found.outages.total_ns)}"
    counts = (
        (found.broken, "frames that were no pictures, and were passed over"),
        (found.blank, "frames without contrast (a covered lens, an empty buffer)"),
        (found.identical, "frames like the one before to the bit (a frozen picture)"),
        (found.resized, "frames of another size than the one before"),
    )
    for count, what in counts:
        if count:
            yield f"{what}: {count:,}"


def gap(summary: Summary) -> str:
    """Return the longest time without a frame, "" where no live source was logged."""
    longest_ns = summary.incidents.longest_gap_ns
    return f"longest time without a frame {_seconds(longest_ns)}" if longest_ns else ""


def rows(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """Return when and what: a row an interval that had incidents, but not more than MAX_ROWS."""
    every = [
        (_since_start(interval, run.intervals[0]), "; ".join(sentences(interval.incidents)))
        for run in summary.runs
        for interval in run.intervals
    ]
    told = [row for row in every if row[1]]
    more = len(told) - MAX_ROWS
    return (*told[:MAX_ROWS], *([("", f"and {more:,} intervals more")] if more > 0 else []))


def _since_start(interval: LoggedInterval, first: LoggedInterval) -> str:
    return duration((interval.start_ns - first.start_ns) / 1e9)


def _often(tally: Tally) -> str:
    if tally.count == 1:
        return f"once, for {_seconds(tally.longest_ns)}"
    return (
        f"{_times(tally.count)}, {_seconds(tally.total_ns)} in all, at longest "
        f"{_seconds(tally.longest_ns)}"
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _seconds(size_ns: int) -> str:
    return duration(abs(size_ns) / 1e9)


def _signed(size_ns: int) -> str:
    return f"{'-' if size_ns < 0 else '+'}{_seconds(size_ns)}"
