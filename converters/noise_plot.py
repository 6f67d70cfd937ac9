"""A bar for each block of a network: what share of the scores' noise each of its parts makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from edge.page import LIGHT

# Small, so that text is still legible where a phone's width is all there is.
WIDTH, FONT = 460, 13
LEFT, RIGHT, TOP, ROW, BAR = 72, 58, 12, 23, 14
LINE, SWATCH = 20, 11
LETTER = 7.4  # nearly the width of one
HUES = ("blue", "teal", "amber", "rose", "violet", "slate")
# Parts beyond those are drawn as one.
REST, REST_HUE = "other", "ink"
# Weights have the full colour; beside them activations must be told from them, and from the page.
OPACITIES = {"weights": 1.0, "activations": 0.45}


@dataclass(frozen=True, slots=True)
class Bar:
    """A block, and what its parts make of the noise: shares of 1 by weights and activations."""

    title: str
    shares: Mapping[str, tuple[float, float]]

    @property
    def share(self) -> float:
        return sum(map(sum, self.shares.values()))


def noise_plot(bars: Sequence[Bar], parts: Sequence[str]) -> str:
    """Return an SVG with a row for each of `bars`, at least one; the longest stands out.

    Args: parts: all that the bars hold, in the order in which they are drawn.
    """
    hues = dict(zip(parts, (*HUES, *[REST_HUE] * len(parts)), strict=False))
    swatches = {part if hue != REST_HUE else REST: hue for part, hue in hues.items()}
    legend, top = _legend(swatches)
    longest = max(bar.share for bar in bars)
    scale = (WIDTH - LEFT - RIGHT) / (longest or 1.0)
    height = top + ROW * len(bars)
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">', *legend]
    for index, bar in enumerate(bars):
        y = top + ROW * index
        end = float(LEFT)
        for part, hue in hues.items():
            shares = zip(OPACITIES.items(), bar.shares.get(part, (0.0, 0.0)), strict=True)
            for (cause, opacity), share in shares:
                words = f"{bar.title}, {part}, {cause}: {100 * share:.1f} %"
                drawn.append(_piece((end, y, scale * share, BAR), LIGHT[hue], opacity, words))
                end += scale * share
        stands_out = bar.share == longest
        drawn.append(_text(LEFT - 8, y + BAR - 3, bar.title, "end", bold=stands_out))
        percent = f"{100 * bar.share:.1f} %"
        drawn.append(_text(end + 6, y + BAR - 3, percent, "start", bold=stands_out))
    return "".join([*drawn, "</svg>"])


def _legend(swatches: Mapping[str, str]) -> tuple[list[str], int]:
    """Return the names of the colours, in as many lines as they take, and where they end."""
    drawn = []
    x, y = 0.0, SWATCH
    for name, hue in swatches.items():
        width = SWATCH * len(OPACITIES) + 6 + LETTER * len(name)
        if x + width > WIDTH:
            x, y = 0.0, y + LINE
        for place, opacity in enumerate(OPACITIES.values()):
            box = (x + SWATCH * place, y - SWATCH, SWATCH, SWATCH)
            drawn.append(_piece(box, LIGHT[hue], opacity))
        drawn.append(_text(x + width - LETTER * len(name), y - 1, name, "start"))
        x += width + 12
    return drawn, y + TOP


def _piece(
    box: tuple[float, float, float, float], color: str, opacity: float, words: str = ""
) -> str:
    x, y, width, height = box
    title = f"<title>{escape(words)}</title>" if words else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.2f}" height="{height}" fill="{color}" '
        f'fill-opacity="{opacity}">{title}</rect>'
    )


def _text(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    color, weight = (LIGHT["ink"], 700) if bold else (LIGHT["muted"], 400)
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{FONT}" font-weight="{weight}" fill="{color}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
