from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from converters.noise_plot import HUES, WIDTH, Bar, noise_plot
from edge.page import LIGHT

SVG = "{http://www.w3.org/2000/svg}"
BARS = (
    Bar("one", {"expand": (0.05, 0.1), "sum": (0.0, 0.05)}),
    Bar("two", {"expand": (0.2, 0.6)}),
)


def drawn(bars: tuple[Bar, ...], *parts: str) -> ET.Element:
    return ET.fromstring(noise_plot(bars, parts))  # noqa: S314 (our own drawing)


def pieces(root: ET.Element) -> dict[str, dict[str, str]]:
    """Return the rectangles' attributes by what they say, without those of the legend."""
    return {
        title.text or "": box.attrib
        for box in root.iter(f"{SVG}rect")
        if (title := box.find(f"{SVG}title")) is not None
    }


def test_pieces_are_as_wide_as_their_shares_and_stand_on_each_other() -> None:
    found = pieces(drawn(BARS, "expand", "sum"))
    widths = [float(box["width"]) for box in found.values()]
    # expand and sum, weights and activations each, of both blocks.
    shares = [0.05, 0.1, 0.0, 0.05, 0.2, 0.6, 0.0, 0.0]
    unit = widths[5] / 0.6
    assert widths == pytest.approx([share * unit for share in shares], abs=0.01)
    row = [box for name, box in found.items() if name.startswith("one")]
    for left, right in pairwise(row):
        end = float(left["x"]) + float(left["width"])
        assert float(right["x"]) == pytest.approx(end, abs=0.11)  # of a pixel
    assert float(found["two, expand, activations: 60.0 %"]["fill-opacity"]) < 1
    assert float(found["two, expand, weights: 20.0 %"]["fill-opacity"]) == 1


def test_the_longest_stands_out_and_all_fits() -> None:
    root = drawn(BARS, "expand", "sum")
    texts = {text.text: text.attrib for text in root.iter(f"{SVG}text")}
    assert [t for t, a in texts.items() if a["font-weight"] == "700"] == ["two", "80.0 %"]
    assert all(float(b["x"]) + float(b["width"]) < WIDTH - 40 for b in pieces(root).values())


def test_many_parts_share_the_last_colour() -> None:
    parts = [f"part {i}" for i in range(len(HUES) + 2)]
    root = drawn((Bar("<b>", dict.fromkeys(parts, (0.0, 0.1))),), *parts)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts == [*parts[: len(HUES)], "other", "<b>", "80.0 %"]
    fills = [b["fill"] for name, b in pieces(root).items() if name.startswith("<b>, part")]
    assert len(set(fills)) == len(HUES) + 1
    assert fills[-1] == LIGHT["ink"]


def test_no_noise_at_all_is_drawn_too() -> None:
    assert all(
        float(box["width"]) == 0
        for box in pieces(drawn((Bar("a", {"sum": (0, 0)}),), "sum")).values()
    )
