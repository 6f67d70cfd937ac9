"""What ReLU does to a spiral, in words and pictures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from converters.mobilenet_v2.explore.experiment import Chapter, Plot
from converters.mobilenet_v2.explore.relu import F64, ReluResult, Row, Spread
from edge.page import LIGHT, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "ReLU on a low-dimensional manifold"
# Colours along the spiral, from its centre on: all of them stand out in both themes, and neighbours
# differ in what colour-blind eyes see too.
STOPS = ("blue", "violet", "rose", "amber")
SHOWN_POINTS = 250
COLUMNS = 2
SHIFT = 0.13  # of two error bars beside each other
MEASURE = (
    "A spiral in the plane goes through a random matrix T (n x 2, normal numbers) into n "
    "dimensions, through ReLU, and back by the pseudo-inverse of T, as in section 3.2 and figure 1 "
    "of Sandler et al.: MobileNetV2, CVPR 2018. The error is relative: the distance of all points "
    "from where they were (root of the sum of squares) in parts of that from the origin."
)
SCALE = (
    "After the best single scale: a matrix with many rows has about half of them active at any "
    "point, so that the pseudo-inverse brings back x/2 in the mean. Nothing is lost by that, a "
    "next layer's weights undo it, and one factor for all points takes it out of the error."
)
LOST = (
    "Lost for good: where fewer than two independent rows of T are active, a point cannot be told "
    "from its neighbours in the plane by any inverse, and with two it can (lemma 2 of the paper's "
    "appendix A). Each row is active with a chance of 1/2, so that (n + 1) / 2^n of all points are "
    "expected to be lost (theorem 1 there). What is left of the error elsewhere is the "
    "pseudo-inverse's own, which does not know which rows were cut off."
)
PAPER = (
    "Under its figure the paper says that information is lost with n = 2 and 3, where points "
    "collapse into each other, and that with n = 15 to 30 the transformation is highly non-convex. "
    "The first is what is seen here, and n = 5 still loses points. To the second this adds that "
    "with n = 15 and 30 next to nothing is lost: the bends in the picture are those of a linear "
    "way back, and one that knows which rows are active would straighten them. The paper gives no "
    "numbers to compare with."
)


def chapter(result: ReluResult) -> Chapter:
    return Chapter(
        title=TITLE,
        command=result.command,
        findings=_findings(result),
        plots=_plots(result),
        tables=(_table(result),),
        numbers={"matrices": result.matrices, "rows": [asdict(row) for row in result.rows]},
        remarks=(MEASURE, SCALE, LOST),
    )


def _findings(result: ReluResult) -> tuple[str, ...]:
    first, last = result.rows[0], result.rows[-1]
    lost = ", ".join(f"{100 * row.lost:.3g} % with n = {row.dimensions}" for row in result.rows)
    worst = max(row.linear_worst for row in result.rows)
    gone = (
        f"Lost for good, so that no inverse brings them back, are {lost} (means over "
        f"{result.matrices} random matrices)."
    )
    back = (
        "By the pseudo-inverse as it is the error stays near one half however large n is (median "
        f"{first.relu.median:.2f} with n = {first.dimensions}, {last.relu.median:.2f} with n = "
        f"{last.dimensions}): half of the rows are cut off, and x/2 comes back. After the best "
        f"single scale it falls from {first.scaled.median:.2f} to {last.scaled.median:.2f}."
    )
    linear = f"Without ReLU every point comes back, with an error of at most {worst:.0e}: rounding."
    return gone, back, linear, PAPER


def _plots(result: ReluResult) -> tuple[Plot, ...]:
    shares = ", ".join(f"{100 * row.lost:.3g} %" for row in result.rows)
    chances = ", ".join(f"{100 * row.lost_expected:.2g} %" for row in result.rows)
    names = ", ".join(str(row.dimensions) for row in result.rows)
    scaled = ", ".join(f"{row.scaled.median:.2f}" for row in result.rows)
    plain = ", ".join(f"{row.relu.median:.2f}" for row in result.rows)
    rows = -(-(1 + len(result.pictures)) // COLUMNS)
    return (
        Plot(
            "relu_spiral",
            "The spiral, and what comes back",
            "A spiral of two turns, and what one random matrix of each n gives back: where few "
            "rows are active its points fall onto lines. Over all matrices "
            f"{shares} of them are lost with n = {names}.",
            1.62 * rows,
            lambda figure: _draw_pictures(figure, result),
            "Coloured from the centre outwards; T\N{SUPERSCRIPT PLUS SIGN} ReLU(T x) for one "
            "matrix T each, not scaled. Axes are the plane's own, without unit.",
        ),
        Plot(
            "relu_error",
            "How far from where they were",
            f"Median relative errors with n = {names}: {plain} by the pseudo-inverse, {scaled} "
            "after the best single scale, 0 without ReLU.",
            2.5,
            lambda figure: _draw_errors(figure, result),
            f"Median over {result.matrices} matrices; bars hold the middle half of them.",
        ),
        Plot(
            "relu_lost",
            "Lost for good",
            f"{shares} of all points have fewer than two active rows with n = {names}; by chance "
            f"it would be {chances}.",
            2.2,
            lambda figure: _draw_lost(figure, result.rows),
            "Points with fewer than two independent active rows, which no inverse brings back. "
            "Bars are two standard errors.",
        ),
    )


def _draw_pictures(figure: Figure, result: ReluResult) -> None:
    shown = {"input": result.spiral}
    shown |= {f"n = {n}": picture for n, picture in result.pictures.items()}
    axes = figure.subplots(-(-len(shown) // COLUMNS), COLUMNS).ravel()
    for (title, points), ax in zip(shown.items(), axes, strict=True):
        few = np.linspace(0, len(points) - 1, SHOWN_POINTS).astype(int)
        ax.scatter(*points[few].T, c=_along(len(few)), s=5, linewidths=0)
        ax.set_title(title, size=8)
        ax.set_aspect("equal", "datalim")
        ax.tick_params(labelsize=6.5)
        ax.locator_params(nbins=4)


def _along(count: int) -> F64:
    """Return RGB float64 [count, 3] from the first of STOPS to the last."""
    stops = np.array([[int(LIGHT[s][i : i + 2], 16) for i in (1, 3, 5)] for s in STOPS]) / 255
    place = np.linspace(0, len(stops) - 1, count)
    return np.column_stack([np.interp(place, range(len(stops)), channel) for channel in stops.T])


def _draw_errors(figure: Figure, result: ReluResult) -> None:
    ax = figure.subplots()
    lines = (
        ("pseudo-inverse", "amber", "o", [row.relu for row in result.rows]),
        ("after the best scale", "blue", "s", [row.scaled for row in result.rows]),
        ("without ReLU", "slate", "D", [row.linear for row in result.rows]),
    )
    for place, (label, hue, marker, spreads) in enumerate(lines):
        _error_bars(ax, spreads, SHIFT * (place - 1), (label, hue, marker))
    _ticks(ax, result.rows)
    ax.set_ylabel("relative error")
    ax.set_ylim(bottom=-0.04)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.3), ncols=2, columnspacing=1)


def _error_bars(ax: Axes, spreads: list[Spread], shift: float, look: tuple[str, str, str]) -> None:
    label, hue, marker = look
    medians = np.array([spread.median for spread in spreads])
    below = medians - [spread.p25 for spread in spreads]
    above = np.array([spread.p75 for spread in spreads]) - medians
    x = np.arange(len(spreads)) + shift
    ax.errorbar(
        x, medians, (below, above), label=label, color=LIGHT[hue], marker=marker, ms=4, capsize=2
    )


def _draw_lost(figure: Figure, rows: tuple[Row, ...]) -> None:
    ax = figure.subplots()
    x = np.arange(len(rows))
    errors = [200 * row.lost_error for row in rows]
    ax.bar(x, [100 * row.lost for row in rows], 0.55, color=LIGHT["rose"], label="measured")
    ax.errorbar(x, [100 * row.lost for row in rows], errors, ls="", color=LIGHT["ink"], capsize=2)
    expected = [100 * row.lost_expected for row in rows]
    ax.plot(x, expected, ls="", marker="_", ms=22, color=LIGHT["ink"], label="(n + 1) / 2^n")
    for place, row in enumerate(rows):
        text = f"{100 * row.lost:.2g} %"
        at = max(100 * row.lost + errors[place], expected[place])
        ax.annotate(text, (place, at), (0, 4), textcoords="offset points", ha="center", size=7.5)
    _ticks(ax, rows)
    ax.set_ylabel("points lost, %")
    ax.set_ylim(0, 100 * max(row.lost for row in rows) + 14)
    ax.legend(loc="upper right")


def _ticks(ax: Axes, rows: tuple[Row, ...]) -> None:
    ax.set_xticks(range(len(rows)), [str(row.dimensions) for row in rows])
    ax.set_xlabel("dimensions n")
    ax.grid(visible=False, axis="x")


def _table(result: ReluResult) -> Table:
    middle = "5 to 95 %"
    head = ("n", "pseudo-inverse", middle, "best scale", middle, "linear", "lost", "by chance")
    rows = tuple(
        (
            str(row.dimensions),
            f"{row.relu.median:.3f}",
            f"{row.relu.p5:.2f} to {row.relu.p95:.2f}",
            f"{row.scaled.median:.3f}",
            f"{row.scaled.p5:.2f} to {row.scaled.p95:.2f}",
            f"{row.linear.median:.0e}",
            f"{100 * row.lost:.3g} %",
            f"{100 * row.lost_expected:.3g} %",
        )
        for row in result.rows
    )
    return Table(head, rows, frozenset((2, 4, 7)), "Errors (median) and points lost, in numbers")
