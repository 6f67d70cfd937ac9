"""The plots of a latency report: drawn once, as SVG for the page or together as one PNG.

A plot is a function that draws on axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.latency import drawing
from edge.latency.describe import STAGE_MEANING
from edge.latency.log_lines import LogError
from edge.latency.summary import Summary
from edge.latency.timeline import timeline
from edge.plotting import new_figure, png_of, svg_of

_SIZE_INCHES = (3.3, 2.1)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of a summary: its heading, what it shows in words, and what is drawn, top down."""

    title: str
    caption: str
    draw: tuple[drawing.Draw, ...]


def overview(summary: Summary) -> tuple[Plot, ...]:
    """Return the plots of the whole: over time, and where the time goes; none without a frame."""
    if not summary.stages["total"].count:
        return ()
    grouped = timeline(summary).grouped
    each = "of each interval"
    if grouped > 1:
        each = f"of every {grouped} intervals: the middle p50, the highest p99"
    plots = [
        Plot("Total latency", f"median and p99 {each}", (drawing.band("total"),)),
        Plot("Inference", f"median and p99 {each}", (drawing.band("inference"),)),
        Plot("Frames", "frames a second", (drawing.frames,)),
        Plot("Where the time goes", "the stages' medians in a row", (drawing.shares,)),
        Plot(
            "Stages over time",
            "the medians stacked, coloured as in where the time goes",
            (drawing.stack,),
        ),
    ]
    if summary.temperature_c is not None:
        plots.append(
            Plot("Temperature", "shaded where the board was throttled", (drawing.temperature,))
        )
    return tuple(plots)


def stage_plots(summary: Summary) -> tuple[Plot, ...]:
    """Return for each stage its histogram above its percentile curve."""
    return tuple(
        Plot(stage, STAGE_MEANING[stage], (drawing.histogram(stage), drawing.curve(stage)))
        for stage in summary.shown_stages
        if summary.stages[stage].count
    )


def svg(plot: Plot, summary: Summary) -> str:
    """Return one plot as an SVG document. Raises: MissingExtraError: no matplotlib."""
    width, height = _SIZE_INCHES
    with new_figure((width, height * len(plot.draw)), plot.title) as figure:
        axes = figure.subplots(len(plot.draw), squeeze=False).ravel()
        for draw, ax in zip(plot.draw, axes, strict=True):
            draw(ax, summary)
        return svg_of(figure)


def write_png(summary: Summary, heading: str, path: Path) -> None:
    """Write all plots as one PNG at `path`.

    Raises: MissingExtraError: no matplotlib; LogError: no frame was timed; OSError.
    """
    cells = [(plot.title, draw) for plot in overview(summary) for draw in plot.draw]
    for plot in stage_plots(summary):
        histogram, curve = plot.draw
        cells += [(f"{plot.title}: histogram", histogram), (f"{plot.title}: percentiles", curve)]
    if not cells:
        raise LogError("no frame was timed, so there is nothing to plot; log a longer run")
    columns = 4
    rows = -(-len(cells) // columns)
    size = (_SIZE_INCHES[0] * columns, (_SIZE_INCHES[1] + 0.3) * rows + 0.5)
    with new_figure(size) as figure:
        figure.suptitle(_plain(heading), x=0.01, ha="left", weight="bold", size=13)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for (title, draw), ax in zip(cells, axes, strict=False):
            draw(ax, summary)
            ax.set_title(title, pad=16)
        for ax in axes[len(cells) :]:
            ax.set_axis_off()
        path.write_bytes(png_of(figure, dpi=110))


def _plain(text: str) -> str:
    """Return a log's text so that matplotlib does not read it as a formula."""
    return text.replace("$", r"\$")
