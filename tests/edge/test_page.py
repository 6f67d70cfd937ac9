from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from edge.errors import MissingExtraError
from edge.page import (
    COLORS,
    LIGHT,
    Block,
    Facts,
    Figure,
    Figures,
    Note,
    PageError,
    Section,
    Table,
    Tile,
    Tiles,
    duration,
    inline_svg,
    milliseconds,
    percent,
    render_page,
)

SVG = f"""<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "http://example.org/x.dtd">
<svg xmlns="http://www.w3.org/2000/svg" width="100pt" height="50pt" viewBox="0 0 100 50">
<metadata><a href="http://example.org"/></metadata>
<defs><clipPath id="p1"><rect width="7" height="8"/></clipPath></defs>
<g id="figure_1"><path id="line" clip-path="url(#p1)" style="stroke: {LIGHT["blue"]}"/></g></svg>
"""
BAD = "<script>alert('1')</script>\"&"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Balance(HTMLParser):
    """Checks that each element is closed by its own tag."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(*blocks: Block) -> str:
    return render_page(BAD, [Section(BAD, blocks)], subtitle=BAD)


def test_every_text_is_escaped_and_every_element_closed() -> None:
    page = page_of(
        Tiles((Tile(BAD, BAD, BAD, BAD),)),
        Table((BAD, BAD), ((BAD, BAD),), minor=frozenset({1}), folded=BAD),
        Facts(((BAD, BAD),)),
        Note(BAD, warning=True),
        Figures((Figure(SVG, BAD, BAD, BAD),)),
    )
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert "script" not in parser.seen
    # title, h1, subtitle, h2, 4 of the tile, 5 of the table, 2 facts, a note, 3 of the figure
    assert page.count("&lt;script&gt;") == 19


def test_a_page_asks_nobody_for_anything() -> None:
    page = page_of(Figures((Figure(SVG, "a"),)))
    assert re.findall(r"(?:src|href|srcset|action)\s*=", page) == []
    assert "@import" not in page
    assert set(re.findall(r"url\(([^)]*)\)", page)) == {"#p1"}
    assert set(re.findall(r"https?://[^\"' <]+", page)) == {"http://www.w3.org/2000/svg"}


def test_an_inlined_figure_fills_its_box_and_follows_the_theme() -> None:
    root = ET.fromstring(inline_svg(SVG))  # noqa: S314 - our own text
    assert root.get("viewBox") == "0 0 100 50"
    assert (root.get("width"), root.get("height")) == (None, None)
    rect = root.find(".//{*}rect")
    assert rect is not None
    assert (rect.get("width"), rect.get("height")) == ("7", "8")
    assert [element.get("id") for element in root.iter() if element.get("id")] == ["p1"]
    assert "stroke: var(--blue)" in inline_svg(SVG)
    assert LIGHT["blue"] not in inline_svg(SVG)
    with pytest.raises(PageError, match="no <svg> element"):
        inline_svg("<p>")


def test_a_table_may_be_folded_away_and_a_figure_says_what_is_seen() -> None:
    page = page_of(Table(("a",), (("1",),), folded="all numbers"))
    assert re.search(r"<details[^>]*>\s*<summary>all numbers</summary>\s*<table>", page)
    assert "<details" not in page_of(Table(("a",), (("1",),)))
    seen = page_of(Figures((Figure(SVG, "a", alt="12 of 13 fall"),)))
    assert re.search(r'role="img" aria-label="12 of 13 fall">\s*<svg', seen)
    assert "role=" not in page_of(Figures((Figure(SVG, "a"),)))


def luminance(color: str) -> float:
    """Return relative luminance as WCAG 2 defines it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["ink", "muted"])
@pytest.mark.parametrize(("theme", "card"), [(0, "#ffffff"), (1, "#1b222c")])
def test_text_stands_out_from_its_card(name: str, theme: int, card: str) -> None:
    assert card in page_of()
    low, high = sorted((luminance(COLORS[name][theme]), luminance(card)))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_both_themes_define_every_colour() -> None:
    page = page_of()
    for name, (light, dark) in COLORS.items():
        assert re.findall(rf"--{name}: (#\w+);", page) == [light, dark]
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_a_table_is_rectangular() -> None:
    with pytest.raises(PageError, match="1 cells under 2 headings"):
        Table(("a", "b"), (("1",),))


def test_without_jinja2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name == "jinja2":
            raise ImportError(name)
        return original(name, *rest)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "jinja2", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[report\]"):
        render_page("a", [])


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0.000"),
        (42_000, "0.042"),
        (3_141_592, "3.14"),
        (27_940_000, "27.9"),
        (1_204_400_000, "1,204"),
    ],
)
def test_milliseconds(nanoseconds: int, text: str) -> None:
    assert milliseconds(nanoseconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "n/a"), (0, 7, "0"), (1, 100_000, "< 0.1"), (1, 3, "33.3"), (7, 7, "100.0")],
)
def test_percent(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.24, "8.2 s"), (245, "4 min 05 s"), (11_520, "3 h 12 min"), (187_200, "2 d 04 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
