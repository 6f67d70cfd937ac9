import re
from xml.etree import ElementTree as ET

import pytest

from calibration.evaluation.intervals import Interval
from calibration.evaluation.plots import HALF, class_bars, interval_dots

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 (our own)


def test_dots_lie_where_the_ticks_say() -> None:
    rows = [("a<b", Interval(0.775, 0.74, 0.81)), ("c", Interval(0.80, 0.78, 0.82))]
    root = parsed(interval_dots(rows))
    texts = {text.text: float(text.attrib["x"]) for text in root.iter(f"{SVG}text")}
    assert {"a<b", "c", "74", "82"} <= set(texts)
    per_percent = (texts["82"] - texts["74"]) / 8
    dots = [float(dot.attrib["cx"]) for dot in root.iter(f"{SVG}circle")]
    expected = [texts["74"] + per_percent * (p - 74) for p in (77.5, 80)]
    assert dots == pytest.approx(expected, abs=0.2)
    lines = [p.attrib["d"] for p in root.iter(f"{SVG}path") if p.attrib["stroke-width"] == "3"]
    ends = [[float(x) for x in re.findall(r"[ML](\S+)", line)] for line in lines]
    assert ends[0] == pytest.approx([texts["74"], texts["74"] + 7 * per_percent], abs=0.2)


@pytest.mark.parametrize(
    "one", [Interval(0.0, 0.0, 0.0), Interval(1.0, 1.0, 1.0), Interval(-0.002, -0.008, 0.004)]
)
def test_any_interval_has_ticks(one: Interval) -> None:
    root = parsed(interval_dots([("x", one)], zero=True))
    ticks = [float(t.text or "") for t in root.iter(f"{SVG}text") if t.text != "x"]
    assert 2 <= len(ticks) <= 8
    assert 0 in ticks
    assert ticks[0] <= 100 * one.low <= 100 * one.high <= ticks[-1]


def test_bars_are_as_long_as_their_counts() -> None:
    root = parsed(class_bars([("cat & dog", 4, 2), ("owl", 0, 1)]))
    bars = [(float(r.attrib["x"]), float(r.attrib["width"])) for r in root.iter(f"{SVG}rect")]
    (lost_x, lost), (gained_x, gained), (owl_x, owl) = bars
    assert lost == pytest.approx(2 * gained, abs=0.2)
    assert gained == pytest.approx(2 * owl, abs=0.2)
    assert lost_x + lost == pytest.approx(HALF, abs=0.2)
    assert gained_x == owl_x == HALF
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts == ["cat & dog", "4", "2", "owl", "1"]
