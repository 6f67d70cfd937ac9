"""How each plot is drawn on matplotlib's axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.latency.histogram import Histogram
from edge.latency.summary import Summary
from edge.latency.timeline import F64, Timeline, timeline
from edge.page import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGE_COLORS = {
    "capture": LIGHT["slate"],
    "queue": LIGHT["amber"],
    "preprocess": LIGHT["teal"],
    "inference": LIGHT["blue"],
    "postprocess": LIGHT["rose"],
    "total": LIGHT["ink"],
    "age": LIGHT["violet"],
}
# Stages that follow each other and add up to `age`.
PARTS = ("capture", "queue", "preprocess", "inference", "postprocess")
HISTOGRAM_BARS = 60

Draw = Callable[["Axes", Summary], None]


def band(stage: str) -> Draw:
    """Return a plot of a stage's median, and the band from it up to p99, over time."""

    def draw(ax: Axes, summary: Summary) -> None:
        times = timeline(summary)
        color = STAGE_COLORS[stage]
        x, low = _steps(times, times.p50_ms(stage))
        _, high = _steps(times, times.p99_ms(stage))
        ax.fill_between(x, low, high, color=color, alpha=0.22, linewidth=0)
        ax.plot(x, high, color=color, linewidth=0.8, alpha=0.7, label="p99")
        ax.plot(x, low, color=color, label="p50")
        _time_axes(ax, times, "ms")
        _legend(ax)

    return draw


def frames(ax: Axes, summary: Summary) -> None:
    """Draw processed and skipped frames a second on each other, and the captured as a line."""
    times = timeline(summary)
    x, processed = _steps(times, times.per_second(lambda interval: interval.processed))
    _, skipped = _steps(times, times.per_second(lambda interval: interval.skipped))
    _, captured = _steps(times, times.per_second(lambda interval: interval.captured))
    both = processed + skipped
    ax.fill_between(x, 0, processed, color=LIGHT["blue"], alpha=0.3, lw=0, label="processed")
    ax.fill_between(x, processed, both, color=LIGHT["rose"], alpha=0.8, lw=0, label="skipped")
    ax.plot(x, captured, color=LIGHT["ink"], linewidth=1, label="captured")
    _time_axes(ax, times, "frames / s")
    _legend(ax)


def stack(ax: Axes, summary: Summary) -> None:
    """Draw the stages' medians over time on each other."""
    times = timeline(summary)
    low = np.zeros(2 * len(times.groups))
    for stage in (stage for stage in PARTS if stage in summary.shown_stages):
        x, height = _steps(times, times.p50_ms(stage))
        ax.fill_between(x, low, low + height, color=STAGE_COLORS[stage], alpha=0.8, linewidth=0)
        low = low + height
    _time_axes(ax, times, "ms")


def temperature(ax: Axes, summary: Summary) -> None:
    """Draw the temperature over time, shaded where the board was throttled."""
    times = timeline(summary)
    known = times.temperature_c()
    for start, end, throttled in zip(times.start, times.end, times.throttled(), strict=True):
        if throttled:
            ax.axvspan(start, end, color=LIGHT["amber"], alpha=0.25, linewidth=0)
    ax.plot((times.start + times.end) / 2, known, color=LIGHT["rose"], marker=".", markersize=3)
    _time_axes(ax, times, "°C")
    ax.set_ylim(float(np.nanmin(known)) - 3, float(np.nanmax(known)) + 3)


def shares(ax: Axes, summary: Summary) -> None:
    """Draw the stages' medians one after the other, and how much of their sum each is."""
    parts = [stage for stage in PARTS if stage in summary.shown_stages]
    medians = [summary.stages[stage].p50_ns / 1e6 for stage in parts]
    left = 0.0
    for row, (stage, median) in enumerate(zip(parts, medians, strict=True)):
        ax.barh(row, median, left=left, color=STAGE_COLORS[stage], height=0.62)
        left += median
    whole = sum(medians)
    for row, median in enumerate(medians):
        share = f"{100 * median / whole:.0f} %" if whole else ""
        ax.text(1.02, row, share, transform=ax.get_yaxis_transform(), va="center", size=8)
    ax.set_yticks(range(len(parts)), parts)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_xlim(0, whole or 1)
    ax.set_xlabel("ms", loc="right")


def histogram(stage: str) -> Draw:
    """Return a plot of a stage's distribution, its share axis logarithmic to show the tail."""

    def draw(ax: Axes, summary: Summary) -> None:
        edges, shares = _coarse(summary.histograms[stage])
        ax.stairs(shares, edges, fill=True, color=STAGE_COLORS[stage], alpha=0.75)
        stats = summary.stages[stage]
        for name, value_ns, side in (
            ("p50 ", stats.p50_ns, "right"),
            (" p99", stats.p99_ns, "left"),
        ):
            ax.axvline(value_ns / 1e6, color=LIGHT["ink"], linewidth=0.8, linestyle=(0, (3, 2)))
            ax.text(
                value_ns / 1e6,
                1.01,
                name,
                transform=ax.get_xaxis_transform(),
                ha=side,
                color=LIGHT["muted"],
                size=7.5,
            )
        ax.set_yscale("log")
        # One frame alone must show: the axis starts at half a frame.
        ax.set_ylim(bottom=50 / stats.count)
        ax.set_ylabel("% of frames")
        _plain_log(ax.yaxis)
        ax.set_xlabel("ms", loc="right")

    return draw


def curve(stage: str) -> Draw:
    """Return a plot of a stage's percentiles on an axis where each nine has the same room."""

    def draw(ax: Axes, summary: Summary) -> None:
        recorded = summary.histograms[stage]
        nines = np.log10(max(recorded.count, 10))
        # A little beyond the last whole frame, so that the curve ends at the maximum.
        x = np.linspace(0, nines + 0.2, 200)
        percents = tuple(float(p) for p in 100 * (1 - 10.0**-x))
        y = np.array(recorded.percentiles(percents)) / 1e6
        ax.step(x, y, where="post", color=STAGE_COLORS[stage])
        ticks = range(int(nines) + 1)
        ax.set_xticks(list(ticks), [_nines(tick) for tick in ticks])
        ax.set_xlabel("percentile", loc="right")
        ax.set_ylabel("ms")
        ax.set_xlim(0, nines + 0.2)
        ax.set_ylim(bottom=0)

    return draw


def _nines(count: int) -> str:
    """Return the percentile that all but one in 10**count values stay below."""
    return ("0", "90", "99")[count] if count < 3 else f"99.{'9' * (count - 2)}"


def _coarse(recorded: Histogram) -> tuple[F64, F64]:
    """Return edges in ms and shares in percent of equally wide bars."""
    index, counts = recorded.recorded()
    low, high = (bound / 1e6 for bound in recorded.layout.bounds(index))
    # A bar is never narrower than the widest bucket: it would stand beside empty ones.
    width = max((high[-1] - low[0]) / HISTOGRAM_BARS, float((high - low).max()) + 1e-6)
    number = int((high[-1] - low[0]) / width) + 1
    edges: F64 = low[0] + width * np.arange(number + 1)
    totals, _ = np.histogram((low + high) / 2, edges, weights=counts)
    return edges, 100 * totals / recorded.count


def _steps(times: Timeline, values: F64) -> tuple[F64, F64]:
    """Return x and y that hold each value over the whole of its column."""
    x = np.column_stack((times.start, times.end)).ravel()
    return x, np.repeat(values, 2)


def _time_axes(ax: Axes, times: Timeline, label: str) -> None:
    ax.set_xlabel(f"time, {times.unit}", loc="right")
    ax.set_ylabel(label)
    first = float(times.start.min())
    # An axis needs a length, also where no time went by.
    ax.set_xlim(first, max(float(times.end.max()), first + 1e-3))
    ax.set_ylim(bottom=0)


def _legend(ax: Axes) -> None:
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 0.98),
        ncols=3,
        borderpad=0,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def _plain_log(axis: Any) -> None:  # noqa: ANN401 - matplotlib has no types
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(numticks=5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
