"""Pages that are one file: nothing is fetched, every text is escaped, phones and dark rooms fit.

A page is sections of blocks. Callers hand over text and numbers as strings; the template alone
writes HTML. Plots are SVG in the light theme's colours, which are exchanged for CSS variables, so
that they follow the reader's theme.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import edge
from edge.errors import EdgeError, MissingExtraError

# name: (light, dark). Text and lines come first; then hues that stay apart for colour-blind eyes.
COLORS: dict[str, tuple[str, str]] = {
    "ink": ("#1b2430", "#e8edf4"),
    "muted": ("#5c6878", "#9aa7b8"),
    "grid": ("#dde3ea", "#303b4a"),
    "blue": ("#2f6fde", "#6ea3ff"),
    "teal": ("#0f9d8a", "#3fd0bb"),
    "amber": ("#e0921b", "#f5b547"),
    "rose": ("#d6456b", "#ff7d9c"),
    "violet": ("#8257d8", "#b493ff"),
    "slate": ("#7a8899", "#93a2b5"),
}
LIGHT = {name: light for name, (light, _) in COLORS.items()}


class PageError(EdgeError):
    """A page cannot be made from what was given."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure: `value` is large, `unit` follows it small, `note` stands below."""

    label: str
    value: str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    tiles: tuple[Tile, ...]
    kind: Literal["tiles"] = "tiles"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first column is left-aligned. Phones leave out the columns in `minor`.

    Under the title `folded`, if there is one, it is shown to whoever opens it.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    minor: frozenset[int] = frozenset()
    folded: str = ""
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise PageError(f"a table row of {len(row)} cells under {len(self.head)} headings")


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    items: tuple[tuple[str, str], ...]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph; a warning stands out."""

    text: str
    warning: bool = False
    kind: Literal["note"] = "note"


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot: the SVG text of a drawing library, and what it shows in words.

    `alt`: what is to be seen, for who cannot see it.
    """

    svg: str
    title: str
    caption: str = ""
    alt: str = ""
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True, slots=True)
class Figures:
    """Plots side by side where there is room."""

    figures: tuple[Figure, ...]
    kind: Literal["figures"] = "figures"


Block = Tiles | Table | Facts | Note | Figures


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def render_page(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """Return a self-contained HTML document.

    Args: title: shown and in the browser's tab; sections: in order, one without a title continues
        the one before; subtitle: one line under the title.
    Raises: MissingExtraError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as cause:
        raise MissingExtraError("jinja2", "report") from cause
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    context: dict[str, Any] = {
        "title": title,
        "subtitle": subtitle,
        "sections": sections,
        "colors": COLORS,
        "inline_svg": inline_svg,
        "version": edge.__version__,
    }
    return environment.get_template("page.html.j2").render(context)


_PROLOG = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'(<svg\b[^>]*?)\s+width="[^"]*"|(<svg\b[^>]*?)\s+height="[^"]*"')
_REFERENCE = re.compile(r'url\(#([^)]+)\)|href="#([^"]+)"')
_ID = re.compile(r'\s+id="([^"]+)"')
_COLOR = re.compile("|".join(re.escape(light) for light in LIGHT.values()))
_VARIABLE = {light: f"var(--{name})" for name, light in LIGHT.items()}


def inline_svg(svg: str) -> str:
    """Return an SVG document as an element that fills its box and follows the page's theme.

    The prolog, the metadata, the fixed size and the names that nothing refers to go; the colours
    of LIGHT become the page's variables. Returned as markup: `svg` comes from our own drawing.
    Raises: PageError: `svg` holds no <svg> element.
    """
    import markupsafe  # comes with jinja2

    if "<svg" not in svg:
        raise PageError("a figure holds no <svg> element")
    svg = _METADATA.sub("", _PROLOG.sub("", svg, count=1)).strip()
    for _ in range(2):  # once for width, once for height
        svg = _SIZE.sub(lambda match: match[1] or match[2], svg, count=1)
    used = {a or b for a, b in _REFERENCE.findall(svg)}
    svg = _ID.sub(lambda match: match[0] if match[1] in used else "", svg)
    svg = _COLOR.sub(lambda match: _VARIABLE[match[0]], svg)
    return markupsafe.Markup(svg)  # noqa: S704 - see above


def milliseconds(duration_ns: float) -> str:
    """Return a duration in ms with three significant digits at least: 0.042, 3.14, 27.9, 1,204."""
    value = duration_ns / 1e6
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def percent(part: float, whole: float) -> str:
    """Return a share in percent with one decimal, "0" for none and "n/a" of nothing."""
    if not whole:
        return "n/a"
    share = 100 * part / whole
    return "0" if not part else "< 0.1" if share < 0.05 else f"{share:.1f}"


def duration(seconds: float) -> str:
    """Return a duration for people: 8.2 s, 4 min 05 s, 3 h 12 min, 2 d 04 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"
