"""The report on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from calibration.evaluation import words
from calibration.evaluation.comparison import Report
from edge.text import aligned, printable

COLUMNS = 100


def render_text(report: Report) -> str:
    """Return the report as lines."""
    results = report.results
    lines = [
        words.headline(report),
        "",
        *aligned([words.ACCURACY, *map(words.accuracy_row, results)]),
        "",
    ]
    others = list(words.compared(report))
    if others:
        first, *head = words.DIFFERENCE
        title = first.format(printable(report.reference.subject.name))
        rows = [words.difference_row(*pair) for pair in others]
        lines += [*aligned([(title, *head), *rows]), ""]
        rows = [words.change_row(*pair) for pair in others]
        lines += [*aligned([words.CHANGES, *rows]), ""]
    for result, against in others:
        pairs = words.pair_lines(report, against)
        if pairs:
            name = printable(result.subject.name)
            lines += [f"{name} now says, most often", *(f"  {pair}" for pair in pairs)]
            lost = against.lost[: words.SHOWN_IMAGES]
            lines += [f"  lost {words.change_line(report, one)}" for one in lost]
            lines.append("")
    lines.append("kernels")
    lines += [f"  {printable(one.subject.name)}: {words.kernel_line(one)}" for one in results]
    lines += ["", *_wrapped(words.explanations(report))]
    lines += _wrapped(f"note: {printable(note)}." for note in report.notes)
    return "\n".join(lines) + "\n"


def _wrapped(texts: Iterable[str]) -> list[str]:
    return [
        line
        for text in texts
        for line in textwrap.wrap(text, COLUMNS, break_long_words=False, break_on_hyphens=False)
    ]
