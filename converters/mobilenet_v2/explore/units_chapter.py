"""Dead units and the rank of activations, in words and pictures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from converters.anatomy import PARTS
from converters.mobilenet_v2.explore.experiment import Chapter, Plot
from converters.mobilenet_v2.explore.moments import RANK_THRESHOLD, Spectrum
from converters.mobilenet_v2.explore.units import Site, Unit, UnitsResult
from edge.page import LIGHT, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Dead units, and the rank that survives each activation"
HEAD_INCHES, ROW_INCHES = 1.0, 0.145
NAMED = 6
BENT = (
    " An expansion spans no more directions than it read and one for its bias; ReLU bends that "
    "sheet into more of them."
)
DEAD = (
    "Dead: a channel that is never above 0, on no picture and at no place; in int8 one whose "
    "integers are all the zero point. Active, at one place of one picture: a channel between the "
    "two ends of its activation, which lets it through as it is. What an expansion read can come "
    "back only where at least as many channels are active as it read (lemma 2 of appendix A of "
    "Sandler et al.: MobileNetV2, CVPR 2018, whose figure 7 counts the channels above 0: in its "
    "trained network all layers but two stay above that threshold)."
)
RANK = (
    "Rank, of the matrix [positions x channels] over all pictures: how many of its singular values "
    f"are above {100 * RANK_THRESHOLD:g} % of the largest, which is about what int8 can tell from "
    "nothing. Effective rank: how many equal ones would be spread as they are, exp of the entropy "
    "of their shares (Roy, Vetterli: The effective rank, EUSIPCO 2007). A rank that grows is no "
    "information that grows: a bent sheet spans more directions than a flat one."
)
GAINS = (
    "The conversion may leave out channels that are constant, and give others gains that the next "
    "layer takes back. Int8 is compared with the float network of the same channels and gains."
)


def chapter(result: UnitsResult) -> Chapter:
    return Chapter(
        title=TITLE,
        command=result.command,
        findings=(
            f"{result.name}, {_activations(len(result.units))}, over {result.pictures}.",
            _dead(result.units),
            *_threshold(result.units),
            *_ranks(result.units),
            _quantized(result.units),
        ),
        plots=_plots(result),
        tables=(_table(result.units),),
        numbers={
            "model": result.name,
            "pictures": result.pictures,
            "units": [asdict(unit) for unit in result.units],
        },
        remarks=(DEAD, RANK, GAINS),
    )


def label(site: Site) -> str:
    """Return what an activation is called beside a plot: "3 expand"."""
    return f"{site.place.block.removeprefix('block ')} {site.place.part}"


def _named(units: Sequence[Unit], words: Callable[[Unit], str], more: str = "others") -> str:
    shown = [
        f"{unit.site.place.block} {unit.site.place.part} {words(unit)}" for unit in units[:NAMED]
    ]
    rest = len(units) - NAMED
    return ", ".join([*shown, *([f"{rest} {more}"] if rest > 0 else [])])


def _activations(count: int) -> str:
    return f"{count} activation{'s' if count != 1 else ''}"


def _dead(units: Sequence[Unit]) -> str:
    channels = sum(unit.site.channels for unit in units)
    dead, at_top = sum(unit.dead for unit in units), sum(unit.at_top for unit in units)
    where = sorted((u for u in units if u.dead), key=lambda u: -u.dead / u.site.channels)
    words = f"Of {channels:,} channels {dead} never fire ({100 * dead / channels:.2f} %)"
    if where:
        words += f": {_named(where, lambda u: f'{u.dead} of {u.site.channels}')}"
    if any(unit.site.clamps_above for unit in units):
        words += f". Always at the upper clamp: {at_top or 'none'}"
    return f"{words}."


def _threshold(units: Sequence[Unit]) -> list[str]:
    """Return what expansions let through, against what it takes to come back."""
    expansions = [unit for unit in units if unit.short is not None]
    if not expansions:
        return []
    shares = [unit.active[1] / unit.site.channels for unit in expansions]
    short = sorted((u for u in expansions if u.short), key=lambda u: -(u.short or 0))
    words = (
        f"Behind an expansion {100 * statistics.fmean(shares):.0f} % of the channels are active in "
        f"the mean, {100 * min(shares):.0f} to {100 * max(shares):.0f} % from block to block. "
    )
    if not short:
        return [f"{words}Nowhere are they fewer than the channels that the expansion read."]
    some = _named(short, lambda u: f"at {_percent(u.short or 0)} of all places")
    return [f"{words}They are fewer than what the expansion read in {some}."]


def _ranks(units: Sequence[Unit]) -> list[str]:
    """Return what activations do to the rank, part by part, and where it falls."""
    found = []
    for part in PARTS:
        some = [unit for unit in units if unit.site.place.part == part]
        if len(some) < 2:
            continue
        rank = _medians(some, lambda spectrum: float(spectrum.rank))
        effective = _medians(some, lambda spectrum: spectrum.effective_rank)
        found.append(f"{part} {rank} (effective rank {effective})")
    sentences = []
    if found:
        sentences.append(
            "The rank before and behind the activation, in parts of the channels, in the median: "
            f"{'; '.join(found)}.{BENT if any(u.site.needed for u in units) else ''}"
        )
    falls = sorted(
        (unit for unit in units if unit.after.rank < unit.before.rank),
        key=lambda unit: unit.after.rank / unit.before.rank,
    )
    if falls:
        named = _named(falls, lambda u: f"{u.before.rank} to {u.after.rank}")
        sentences.append(f"The rank falls at {len(falls)} of {_activations(len(units))}: {named}.")
    return sentences


def _medians(units: Sequence[Unit], of: Callable[[Spectrum], float]) -> str:
    """Return the medians of a rank before and behind, in percent of the channels."""
    before = statistics.median(of(unit.before) / unit.site.channels for unit in units)
    after = statistics.median(of(unit.after) / unit.site.channels for unit in units)
    return f"{100 * before:.0f} % to {100 * after:.0f} %"


def _quantized(units: Sequence[Unit]) -> str:
    left = sum(unit.int8.channels for unit in units)
    removed = sum(unit.site.channels - unit.int8.channels for unit in units)
    dead = sum(unit.int8.dead for unit in units)
    ranks = [abs(unit.int8.after.rank - unit.int8.after_float.rank) for unit in units]
    changes = [
        abs(unit.int8.after.effective_rank / unit.int8.after_float.effective_rank - 1)
        for unit in units
        if unit.int8.after_float.effective_rank
    ]
    in_float = sum(unit.dead for unit in units)
    words = f"In int8 {dead} of {left:,} channels never fire, in float {in_float}"
    if removed:
        words += f"; {removed} are not in the int8 file, as they are constant or not read"
    most = f" by more than {max(ranks)}" if max(ranks) else ""
    return (
        f"{words}. Int8 moves no rank{most}, and no effective rank by more than "
        f"{_percent(max(changes, default=0.0))}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _plots(result: UnitsResult) -> tuple[Plot, ...]:
    units = result.units
    height = HEAD_INCHES + ROW_INCHES * len(units)
    return (
        Plot(
            "units_active",
            "Active and dead channels",
            " ".join((_dead(units), *_threshold(units))),
            height,
            lambda figure: _draw_active(figure, units),
            "At one place of a picture: the mean over all places, and the range from the least to "
            "the most. Bars: as many channels as the expansion read. Crosses: dead channels.",
        ),
        Plot(
            "units_rank",
            "Rank before and behind",
            " ".join((*_ranks(units), _quantized(units))),
            height,
            lambda figure: _draw_ranks(
                figure, units, lambda s: float(s.rank), "rank, % of the channels"
            ),
            f"Singular values above {100 * RANK_THRESHOLD:g} % of the largest.",
        ),
        Plot(
            "units_effective_rank",
            "Effective rank before and behind",
            " ".join((*_ranks(units)[:1], _quantized(units))),
            height,
            lambda figure: _draw_ranks(
                figure, units, lambda s: s.effective_rank, "effective rank, % of the channels"
            ),
            "Exp of the entropy of the singular values' shares of their sum.",
        ),
    )


def _draw_active(figure: Figure, units: Sequence[Unit]) -> None:
    ax = figure.subplots()
    y = np.arange(len(units))
    least, mean, most = (
        [100 * unit.active[i] / unit.site.channels for unit in units] for i in range(3)
    )
    ax.hlines(y, least, most, color=LIGHT["blue"], alpha=0.35, lw=3)
    ax.plot(mean, y, "o", ms=3.5, color=LIGHT["blue"], label="active: mean, range")
    needed = [
        (100 * u.site.needed / u.site.channels, i) for i, u in enumerate(units) if u.site.needed
    ]
    if needed:
        ax.plot(*zip(*needed, strict=True), "|", ms=8, mew=1.8, color=LIGHT["ink"], label="needed")
    dead = [(100 * unit.dead / unit.site.channels, i) for i, unit in enumerate(units) if unit.dead]
    if dead:
        ax.plot(*zip(*dead, strict=True), "X", ms=5, color=LIGHT["rose"], label="dead")
    _rows(ax, units, "% of the channels")


def _draw_ranks(
    figure: Figure, units: Sequence[Unit], of: Callable[[Spectrum], float], title: str
) -> None:
    ax = figure.subplots()
    y = np.arange(len(units))
    spectra = [(unit.before, unit.after, unit.int8.after) for unit in units]
    before, after, int8 = (
        [
            100 * of(three[i]) / unit.site.channels
            for unit, three in zip(units, spectra, strict=True)
        ]
        for i in range(3)
    )
    ax.hlines(y, before, after, color=LIGHT["slate"], alpha=0.5, lw=1.5)
    ax.plot(before, y, "o", ms=4, mfc="none", mew=1.2, color=LIGHT["amber"], label="before")
    ax.plot(after, y, "o", ms=4, color=LIGHT["blue"], label="behind")
    ax.plot(int8, y, "|", ms=8, mew=1.6, color=LIGHT["rose"], label="behind, int8")
    _rows(ax, units, title)


def _rows(ax: Axes, units: Sequence[Unit], title: str) -> None:
    ax.set_yticks(range(len(units)), [label(unit.site) for unit in units])
    ax.tick_params(axis="y", labelsize=6.5)
    ax.set_ylim(len(units) - 0.4, -0.6)
    ax.set_xlim(-2, 102)
    ax.set_xlabel(title)
    ax.set_ylabel("block and layer")
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, columnspacing=0.8, handletextpad=0.3
    )


def _table(units: Sequence[Unit]) -> Table:
    head = (
        *("activation", "function", "channels", "dead", "dead, int8", "rank", "behind"),
        *("int8", "effective", "behind", "int8", "active", "too few"),
    )
    rows = tuple(
        (
            f"{unit.site.place.block} {unit.site.place.part}",
            unit.site.function,
            str(unit.site.channels),
            str(unit.dead),
            str(unit.int8.dead),
            str(unit.before.rank),
            str(unit.after.rank),
            str(unit.int8.after.rank),
            f"{unit.before.effective_rank:.1f}",
            f"{unit.after.effective_rank:.1f}",
            f"{unit.int8.after.effective_rank:.1f}",
            f"{100 * unit.active[1] / unit.site.channels:.0f} %",
            "-" if unit.short is None else _percent(unit.short),
        )
        for unit in units
    )
    return Table(head, rows, frozenset((1, 4, 7, 8, 9, 10, 11, 12)), "Every activation in numbers")
