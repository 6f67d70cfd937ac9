"""A line along the network: how much of each tensor's signal is left above the noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from edge.page import LIGHT

# Small, so that text is still legible where a phone's width is all there is.
WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 32, 8, 28, 30
STEP_DB = 10
LONGEST_NAME = 18
HUES = ("blue", "amber")
# Where both artifacts compute the same integers, the second line still shows on the first.
DASHES = ("", "5 4")


def sqnr_plot(names: Sequence[str], lines: Mapping[str, Sequence[float | None]]) -> str:
    """Return an SVG with one line for each of `lines`.

    Args: names: of the tensors, in the order of the network; lines: by title, a value in dB for
        each tensor, None where there is none (as for a tensor that equals float exactly).
    """
    values = [v for line in lines.values() for v in line if v is not None]
    top = STEP_DB * max(1, math.ceil(max(values, default=STEP_DB) / STEP_DB))
    bottom = min(0, STEP_DB * math.floor(min(values, default=0) / STEP_DB))
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(place: int) -> float:
        return LEFT + plot_width * (place / max(1, len(names) - 1))

    def y(decibels: float) -> float:
        return TOP + plot_height * (top - decibels) / (top - bottom)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">']
    parts += [
        f'<path d="M{LEFT} {y(level):.1f}H{WIDTH - RIGHT}" stroke="{LIGHT["grid"]}"/>'
        + _text(LEFT - 8, y(level) + 4, str(level), "end")
        for level in range(bottom, top + 1, STEP_DB)
    ]
    for at, anchor in ((0, "start"), (len(names) - 1, "end")):
        parts.append(_text(x(at), HEIGHT - 8, _short(names[at]), anchor))
    parts.append(_text(WIDTH / 2, HEIGHT - 8, f"{len(names)} tensors in order", "middle"))
    for place, (title, line) in enumerate(lines.items()):
        color, dash = LIGHT[HUES[place]], DASHES[place]
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(line) if v is not None)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" '
            f'stroke-linejoin="round" stroke-dasharray="{dash}"/>'
        )
        left = LEFT + 130 * place
        parts.append(
            f'<path d="M{left} 12h18" stroke="{color}" stroke-width="3" stroke-dasharray="{dash}"/>'
            + _text(left + 24, 16, title, "start")
        )
    return "".join([*parts, "</svg>"])


def _short(name: str) -> str:
    """Return the end of a name, which tells more than its scope, where it is long."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="13" fill="{LIGHT["muted"]}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
