"""What was found, as one page, as pictures, on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibration.progress import Progress
from converters.mobilenet_v2.explore.experiment import WIDTH_INCHES, Chapter, Plot
from edge.figures import finite
from edge.page import Figure, Figures, Note, Section, render_page
from edge.plotting import new_figure, png_of, svg_of

PAGE = "explore.html"
PNG_DPI = 220
TITLE = "What MobileNetV2 is made of"


def files_of(chapters: Mapping[str, Chapter], subject: str, progress: Progress) -> dict[str, bytes]:
    """Return the page and the pictures, by their names. Args: subject: what was looked at.

    Raises: MissingExtraError: jinja2 or matplotlib is not installed.
    """
    made: dict[str, bytes] = {}
    plots = [plot for chapter in chapters.values() for plot in chapter.plots]
    svgs: dict[str, str] = {}
    for plot in progress(plots, len(plots), "drawing"):
        svgs[plot.name], made[f"{plot.name}.png"] = drawn(plot)
    sections = []
    for chapter in chapters.values():
        figures = [
            Figure(
                svgs[plot.name],
                plot.title,
                f"{plot.caption} Made by: {chapter.command}".strip(),
                plot.finding,
            )
            for plot in chapter.plots
        ]
        sections.append(
            Section(
                chapter.title,
                (
                    *map(Note, chapter.findings),
                    Figures(tuple(figures)),
                    *chapter.tables,
                    *map(Note, chapter.remarks),
                ),
            )
        )
    made[PAGE] = render_page(TITLE, sections, subtitle=subject).encode()
    return made


def check_drawing() -> None:
    """See that a page can be made, before there is work to lose. Raises: MissingExtraError."""
    render_page("", [])
    with new_figure((1, 1)):
        pass


def drawn(plot: Plot) -> tuple[str, bytes]:
    """Return a plot as SVG and as PNG."""
    with new_figure((WIDTH_INCHES, plot.height_inches), plot.name) as figure:
        plot.draw(figure)
        return svg_of(figure), png_of(figure, PNG_DPI)


def to_text(chapters: Mapping[str, Chapter]) -> str:
    """Return the findings for a terminal."""
    parts = ["\n".join((chapter.title, *_items(chapter))) for chapter in chapters.values()]
    return "\n\n".join(parts)


def _items(chapter: Chapter) -> list[str]:
    return [f"- {finding}" for finding in chapter.findings]


def to_json(chapters: Mapping[str, Chapter]) -> dict[str, Any]:
    """Return all numbers; those that are not finite become null."""
    return {
        name: {"findings": list(chapter.findings), **finite(chapter.numbers)}
        for name, chapter in chapters.items()
    }
