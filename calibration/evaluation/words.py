"""The rows of the tables, and what stands beside them: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator

from calibration.evaluation.comparison import Against, Change, Report, Result
from calibration.evaluation.intervals import CONFIDENCE, RESAMPLES, Interval
from edge.figures import decibels
from edge.text import printable

SHOWN_PAIRS = 5
SHOWN_IMAGES = 5

ACCURACY = ("model", "top-1 %", "from", "to", "top-5 %", "from", "to", "ms")
DIFFERENCE = (
    "against {}",
    "top-1 pp",
    "from",
    "to",
    "top-5 pp",
    "from",
    "to",
    "agrees %",
    "SQNR",
    "KL",
)
CHANGES = ("images that changed", "lost", "gained", "moved")


def accuracy_row(result: Result) -> tuple[str, ...]:
    return (
        printable(result.subject.name),
        *(f"{100 * v:.2f}" for one in (result.top1, result.top5) for v in _ends(one)),
        f"{result.inference_ms:.2f}",
    )


def difference_row(result: Result, against: Against) -> tuple[str, ...]:
    return (
        printable(result.subject.name),
        *(f"{100 * v:+.2f}" for one in (against.top1, against.top5) for v in _ends(one)),
        f"{100 * against.agreement.value:.2f}",
        "n/a" if against.sqnr_db is None else decibels(against.sqnr_db),
        f"{against.kl_nats:.4f}",
    )


def change_row(result: Result, against: Against) -> tuple[str, ...]:
    parts = (against.lost, against.gained, against.moved)
    return (printable(result.subject.name), *(str(len(part)) for part in parts))


def compared(report: Report) -> Iterator[tuple[Result, Against]]:
    """Yield every result but the reference's."""
    for result in report.results:
        if result.against is not None:
            yield result, result.against


def headline(report: Report) -> str:
    broken = f", {len(report.broken)} broken ones passed over" if report.broken else ""
    return f"{report.images} labelled images of {printable(report.folder)}{broken}"


def pair_lines(report: Report, against: Against) -> list[str]:
    """Return the most frequent changes from one class to another."""
    name = report.classes.name
    return [
        f"{name(before)} -> {name(after)}: {count}"
        for (before, after), count in against.pairs(SHOWN_PAIRS)
    ]


def change_line(report: Report, change: Change) -> str:
    """Return one image that changed."""
    name = report.classes.name
    return printable(
        f"{change.image}: {name(change.before)} -> {name(change.after)} (is {name(change.true)})"
    )


def kernel_line(result: Result) -> str:
    scores = "probabilities" if result.are_probabilities else "logits"
    return f"{result.subject.runtime}, {result.subject.kernels}, 1 thread; scores: {scores}"


def explanations(report: Report) -> list[str]:
    """Return how to read the figures."""
    intervals = (
        f"from, to: {100 * CONFIDENCE:.0f} % intervals, bootstrap over the images "
        f"({RESAMPLES} resamples)"
    )
    if len(report.results) == 1:
        return [f"{intervals}."]
    paired = "those of differences are paired, and one that holds 0 shows no difference that these"
    lines = [f"{intervals}; {paired} images could tell from chance."]
    lines.append(
        "lost: right before, wrong now; gained: the other way round; moved: wrong both times, as "
        "another class."
    )
    for result, against in compared(report):
        if not against.lost and not against.gained:
            # Three hundred percent over n: Hanley, Lippman-Hand: If nothing goes wrong, is
            # everything all right?, JAMA 249 (1983).
            lines.append(
                f"{printable(result.subject.name)}: no image became right or wrong, of which no "
                f"resample can make one; up to {300 / report.images:.2g} % of all may (rule of "
                "three)."
            )
        if against.no_sqnr:
            lines.append(f"{printable(result.subject.name)}: {against.no_sqnr}.")
    return lines


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high
