"""The pictures of the page, as SVG: shares with their intervals, and classes that flipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from calibration.evaluation.intervals import Interval
from edge.page import LIGHT

# Small, so that text is still legible where a phone's width is all there is.
WIDTH, MARGIN, ROW, FONT = 460, 14, 46, 13
TICKS = 5
LONGEST_NAME = 58
HALF = WIDTH / 2
BAR, BAR_ROW = 9, 34


def interval_dots(rows: Sequence[tuple[str, Interval]], *, zero: bool = False) -> str:
    """Return an SVG with a dot and a line for each mean and its interval, in percent.

    Args: rows: names and shares of 1, at least one; zero: a line where there is no difference.
    """
    ends = [100 * end for _, one in rows for end in (one.low, one.high, one.value)]
    ends += [0.0] if zero else []
    step = _step((max(ends) - min(ends)) or 1.0)
    low, high = step * math.floor(min(ends) / step), step * math.ceil(max(ends) / step)
    if low == high:
        low, high = low - step, high + step
    height = ROW * len(rows) + 28

    def x(percent: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (percent - low) / (high - low)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">']
    # From a whole number of steps, so that 0 is 0.
    ticks = [step * k for k in range(round(low / step), round(high / step) + 1)]
    parts += [_text(x(tick), height - 6, f"{tick:g}", "middle") for tick in ticks]
    for place, (name, one) in enumerate(rows):
        y = ROW * place + 32
        for tick in ticks:
            color = LIGHT["muted" if zero and tick == 0 else "grid"]
            parts.append(_line(x(tick), y - 9, x(tick), y + 9, color, 1.5))
        parts.append(_text(MARGIN, y - 14, _short(name), "start", LIGHT["ink"]))
        parts.append(_line(x(100 * one.low), y, x(100 * one.high), y, LIGHT["blue"], 3))
        dot = f'<circle cx="{x(100 * one.value):.1f}" cy="{y}" r="5.5" fill="{LIGHT["blue"]}"/>'
        parts.append(dot)
    return "".join([*parts, "</svg>"])


def class_bars(rows: Sequence[tuple[str, int, int]]) -> str:
    """Return an SVG with bars to the left (lost) and to the right (gained) for each class.

    Args: rows: name, lost and gained images, at least one of all.
    """
    most = max(max(lost, gained) for _, lost, gained in rows)
    room = HALF - 2 * MARGIN - 12
    height = BAR_ROW * len(rows) + 4
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">']
    for place, (name, lost, gained) in enumerate(rows):
        y = BAR_ROW * place + 18
        parts.append(_text(HALF, y - 5, _short(name), "middle", LIGHT["ink"]))
        parts.append(_line(HALF, y, HALF, y + BAR, LIGHT["muted"], 1))
        for count, side, color in ((lost, -1, LIGHT["rose"]), (gained, 1, LIGHT["teal"])):
            if not count:
                continue
            length = room * count / most
            left = HALF - length if side < 0 else HALF
            parts.append(
                f'<rect x="{left:.1f}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{color}"/>'
            )
            anchor = "end" if side < 0 else "start"
            parts.append(_text(HALF + side * (length + 6), y + BAR, str(count), anchor))
    return "".join([*parts, "</svg>"])


def _step(span: float) -> float:
    """Return a round distance between ticks: 1, 2 or 5 times a power of ten."""
    least = span / TICKS
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= least)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _line(x1: float, y1: float, x2: float, y2: float, color: str, width: float) -> str:
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{color}" '
        f'stroke-width="{width}" stroke-linecap="round"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, color: str = LIGHT["muted"]) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{FONT}" fill="{color}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
