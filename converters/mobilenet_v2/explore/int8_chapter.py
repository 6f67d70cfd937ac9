"""What int8 does to each block, in words and pictures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from converters.mobilenet_v2.explore.experiment import Chapter, Plot
from converters.mobilenet_v2.explore.int8 import Int8Result
from converters.sensitivity import Row
from edge.figures import decibels
from edge.page import LIGHT, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "What int8 does to each block"
HEAD_INCHES, ROW_INCHES = 1.15, 0.2
# Hue and marker of each part in turn: both tell them apart.
LOOKS = (
    *(("blue", "o"), ("teal", "s"), ("amber", "D"), ("rose", "X"), ("violet", "^"), ("slate", "v")),
    *(("ink", "P"), ("ink", "*")),
)
# A bar has no marker: of two parts in one hue, this one is hatched.
HATCHES = {"*": "////"}
WORST = 3
WORDS = (
    "SQNR: the energy of float's values over that of the error, in dB. So far: in the int8 "
    "network, where all before it is int8 too. By itself: this layer alone in int8, which reads "
    "float's values, rounded. Share of the noise: what the rounding of a layer's weights and of "
    "its output does to the scores, with the rest in float, of the sum over all layers. It is the "
    "conversion's own measurement; its report has every layer."
)


def chapter(result: Int8Result) -> Chapter:
    return Chapter(
        title=TITLE,
        command=result.command,
        findings=(
            _whole(result),
            _so_far(result),
            _alone(result),
            _shares(result),
            _joined(result),
        ),
        plots=_plots(result),
        tables=(_table(result),),
        numbers=asdict(result),
        remarks=(WORDS,),
    )


def _whole(result: Int8Result) -> str:
    return (
        f"{result.name}: the scores of the int8 network have {decibels(result.measured_db)} of "
        f"SQNR, over {result.pictures} {result.calibrated}; the noise of all parts, each measured "
        f"alone, adds up to {decibels(result.parts_db)}."
    )


def _medians(result: Int8Result, of: Callable[[Row], float]) -> str:
    return ", ".join(
        f"{part} {statistics.median(map(of, result.of(part))):.1f} dB"
        for part in result.parts
        if len(result.of(part)) > 1
    )


def _cumulative_db(row: Row) -> float:
    assert row.cumulative_db is not None  # noqa: S101 (rows without one were left out)
    return row.cumulative_db


def _alone_db(row: Row) -> float:
    return row.alone_db


def _share(rows: Sequence[Row]) -> float:
    return sum(row.share for row in rows)


def _place(row: Row) -> str:
    return f"{row.block} {row.part}"


def _so_far(result: Int8Result) -> str:
    least = min(result.rows, key=_cumulative_db)
    return (
        f"So far, in the median: {_medians(result, _cumulative_db)}. Lowest: {_place(least)}, "
        f"{decibels(least.cumulative_db)}."
    )


def _alone(result: Int8Result) -> str:
    least = min(result.rows, key=_alone_db)
    return (
        f"By itself, in the median: {_medians(result, _alone_db)}. Lowest: {_place(least)}, "
        f"{decibels(least.alone_db)}."
    )


def _shares(result: Int8Result) -> str:
    shares = sorted(((_share(result.of(part)), part) for part in result.parts), reverse=True)
    words = ", ".join(f"{part} {100 * share:.0f} %" for share, part in shares)
    picture = max(0.0, 1 - _share(result.rows))
    return (
        f"Of the noise in the scores: {words}; rounding the picture itself {100 * picture:.0f} %."
    )


def _joined(result: Int8Result) -> str:
    worst = sorted(result.rows, key=lambda row: -row.share)[:WORST]
    named = ", ".join(
        f"{_place(row)} {100 * row.share:.0f} % at {decibels(row.alone_db)} by itself"
        for row in worst
    )
    return (
        f"Most of it: {named}. How noisy a layer is says "
        f"{_strength(result.rank_order)} about what that costs: the rank correlation of its own "
        f"SQNR and its share is {result.rank_order:+.2f}."
    )


def _strength(correlation: float) -> str:
    size = abs(correlation)
    return "little" if size < 0.3 else "something" if size < 0.7 else "much"


def _plots(result: Int8Result) -> tuple[Plot, ...]:
    height = HEAD_INCHES + ROW_INCHES * len(result.blocks)
    return (
        Plot(
            "int8_so_far",
            "SQNR of each value in the int8 network",
            _so_far(result),
            height,
            lambda figure: _draw_dots(figure, result, _cumulative_db, "SQNR so far, dB"),
            "Everything before it is int8 too. Higher is nearer to float.",
        ),
        Plot(
            "int8_alone",
            "SQNR of each layer by itself",
            _alone(result),
            height,
            lambda figure: _draw_dots(figure, result, _alone_db, "SQNR by itself, dB"),
            "This layer alone in int8. Higher is nearer to float.",
        ),
        Plot(
            "int8_noise",
            "What each block adds to the scores' noise",
            f"{_shares(result)} {_joined(result)}",
            height,
            lambda figure: _draw_shares(figure, result),
            f"The rest in float, over {result.pictures} pictures; all blocks together are 100 % "
            "with the rounding of the picture itself.",
        ),
    )


def _draw_dots(figure: Figure, result: Int8Result, of: Callable[[Row], float], title: str) -> None:
    ax = figure.subplots()
    y = {block: place for place, block in enumerate(result.blocks)}
    for part, (hue, marker) in _looks(result):
        rows = result.of(part)
        x = [of(row) for row in rows]
        ax.plot(
            x,
            [y[row.block] for row in rows],
            marker,
            ms=4.5,
            alpha=0.85,
            color=LIGHT[hue],
            mew=0,
            label=part,
        )
    _rows(ax, result.blocks, title)


def _draw_shares(figure: Figure, result: Int8Result) -> None:
    ax = figure.subplots()
    ends = dict.fromkeys(result.blocks, 0.0)
    for part, (hue, marker) in _looks(result):
        shares = {block: 100 * _share(result.of(part, block)) for block in result.blocks}
        bars = ax.barh(
            range(len(ends)),
            list(shares.values()),
            0.7,
            list(ends.values()),
            color=LIGHT[hue],
            label=part,
            hatch=HATCHES.get(marker),
            edgecolor="white",
        )
        for bar in bars:  # an edge beside another bar would make both look smaller
            bar.set_linewidth(0)
        ends = {block: end + shares[block] for block, end in ends.items()}
    for place, end in enumerate(ends.values()):
        ax.annotate(
            f"{end:.1f}", (end, place), (3, 0), textcoords="offset points", va="center", size=6.5
        )
    ax.set_xlim(0, 1.16 * max(ends.values()))
    _rows(ax, result.blocks, "share of the noise, %")


def _looks(result: Int8Result) -> Sequence[tuple[str, tuple[str, str]]]:
    return [(part, LOOKS[place % len(LOOKS)]) for place, part in enumerate(result.parts)]


def _rows(ax: Axes, blocks: Sequence[str], title: str) -> None:
    ax.set_yticks(range(len(blocks)), [block.removeprefix("block ") for block in blocks])
    ax.tick_params(axis="y", labelsize=7)
    ax.set_ylim(len(blocks) - 0.4, -0.6)
    ax.set_xlabel(title)
    ax.set_ylabel("block")
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.45, 1), ncols=2, columnspacing=0.8, handletextpad=0.3
    )


def _table(result: Int8Result) -> Table:
    head = ("layer", "so far", "by itself", "its weights", "its output")
    rows = tuple(
        (
            _place(row),
            decibels(row.cumulative_db),
            decibels(row.alone_db),
            f"{100 * row.weights_share:.2f} %" if row.weights_db is not None else "-",
            f"{100 * row.activations_share:.2f} %",
        )
        for row in result.rows
    )
    return Table(head, rows, frozenset((2,)), "Every layer: SQNR, and share of the scores' noise")
