"""The reports: on the terminal, as a page, as a picture."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from edge.errors import MissingExtraError
from edge.latency import plots
from edge.latency.compare import compare
from edge.latency.log import LogError
from edge.latency.read import read_log
from edge.latency.render_html import render_html
from edge.latency.render_text import render_comparison, render_text
from edge.latency.report_json import comparison_to_json, to_json
from edge.latency.summary import Summary, summarize
from edge.page import LIGHT, milliseconds
from tests.edge.latency.logs import other_run, write_log

BAD = "<script>alert(1)</script> $x^$"


def summary_of(path: Path, counts: tuple[int, ...] = (40, 0, 50), **options: Any) -> Summary:  # noqa: ANN401
    return summarize([read_log(write_log(path, counts, **options))])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    path = tmp_path_factory.mktemp("hostile") / "run.jsonl"
    header = other_run(card=BAD, source=BAD, runtime=BAD, board={BAD: BAD}, versions={BAD: BAD})
    health = {"temperature_c": 71.5, "throttled": [BAD]}
    return summary_of(path, header=header, health=health, reason=BAD)


@pytest.fixture(scope="module")
def page(hostile: Summary) -> str:
    return render_html(hostile)


def test_the_page_escapes_what_the_log_says(page: str) -> None:
    assert "<script" not in page
    # title, h1, subtitle (2), caution, and in the facts: card, runtime, source, ended, board (2),
    # versions (2), throttling
    assert page.count("&lt;script&gt;") == 14


def test_the_page_loads_nothing(page: str) -> None:
    assert set(re.findall(r"https?://[^\"' <]+", page)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert all(target.startswith("#") for target in re.findall(r"href=\"([^\"]*)", page))
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert re.findall(r"\ssrc=|@import|@font-face", page) == []


def test_the_page_shows_each_plot_and_figure(page: str, hostile: Summary) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 6 + 7
    for drawing in drawings:
        assert len(ET.fromstring(drawing).findall(".//{*}path")) > 5  # noqa: S314
    used = [set(re.findall(r'id="([^"]+)"', drawing)) for drawing in drawings]
    assert sum(map(len, used)) == len(set().union(*used))  # no plot refers into another
    for percent in ("p50_ns", "p99_ns"):
        for stage in ("total", "inference"):
            assert milliseconds(getattr(hostile.stages[stage], percent)) in page
    assert "throttled in 2 of 3" not in page
    assert "Throttled in 3 of 3 intervals" in page


def test_no_plot_keeps_a_colour_of_one_theme(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert not [name for name, color in LIGHT.items() if color in drawings]
    assert "var(--blue)" in drawings


def test_what_is_not_known_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "svg", lambda _plot, _summary: "<svg></svg>")
    header = other_run(timestamps="arrival")
    summary = summary_of(tmp_path / "a", (40,), header=header, health={}, reason=None)
    shown = render_html(summary)
    assert "The temperature is not known" in shown
    assert "it was killed, or it still goes on" in shown
    assert "capture and age are not known" in shown
    both = summarize([read_log(tmp_path / "a"), read_log(write_log(tmp_path / "b"))])
    assert "do not count in capture and age: 1 of 2." in render_html(both)
    assert [plot.title for plot in plots.overview(summary)][-1] == "Stages over time"
    assert len(re.findall(r"<svg", shown)) == 5 + 5


def test_a_log_without_frames_gives_a_page_that_says_so(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "a", (), reason=None)
    shown = render_html(summary)
    assert "<svg" not in shown
    assert "No frame was timed" in shown
    assert "no frame was timed" in render_text(summary)
    with pytest.raises(LogError, match="nothing to plot"):
        plots.write_png(summary, "a", tmp_path / "a.png")


def test_an_interval_of_no_length_is_drawn(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a", (40,))
    text = re.sub(r'"end_ns":\d+', '"end_ns":1000000000', path.read_text())
    path.write_text(text)
    summary = summarize([read_log(path)])
    assert summary.measured_ns == 0
    for plot in plots.overview(summary):
        assert ET.fromstring(plots.svg(plot, summary)).findall(".//{*}path")  # noqa: S314


def test_the_same_log_gives_the_same_plots(hostile: Summary) -> None:
    plot = plots.overview(hostile)[0]
    assert plots.svg(plot, hostile) == plots.svg(plot, hostile)


def test_the_picture_holds_every_plot(tmp_path: Path, hostile: Summary) -> None:
    path = tmp_path / "report.png"
    plots.write_png(hostile, f"{BAD} ·", path)
    picture = cv2.imread(str(path))
    assert picture is not None
    height, width, _ = picture.shape
    assert width == round(4 * 3.3 * 110)
    assert np.all(picture[0, 0] == 255)
    # 20 plots in 5 rows of 4: each cell has ink, so none is missing.
    top = round(0.5 * 110)
    for row in range(5):
        for column in range(4):
            cell = picture[
                top + row * (height - top) // 5 : top + (row + 1) * (height - top) // 5,
                column * width // 4 : (column + 1) * width // 4,
            ]
            assert (cell < 128).any(axis=2).sum() > 100


@pytest.mark.parametrize("package", ["matplotlib", "matplotlib.figure"])
def test_without_matplotlib_the_extra_is_named(
    hostile: Summary, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[report\]"):
        plots.svg(plots.overview(hostile)[0], hostile)


def test_the_terminal_shows_the_figures(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "a", (40, 30))
    text = render_text(summary)
    lines = text.splitlines()
    assert lines[0] == "digits"
    assert lines[1] == "litert 2.1 · 2 threads · Raspberry Pi 5 · picamera2"
    assert "20.0 s · duration reached" in lines[2]
    assert "3.5 frames/s · captured 72 · processed 70 · skipped 2 (2.8 %)" in lines
    assert "51.5 °C · not throttled at any of 2 checks" in lines
    inference = next(line.split() for line in lines if line.startswith("inference"))
    stats = summary.stages["inference"]
    figures = (stats.min_ns, stats.p50_ns, stats.p90_ns, stats.p99_ns, stats.p999_ns, stats.max_ns)
    assert inference[1:] == ["70", *map(milliseconds, figures)]
    table = [line for line in lines if re.match(r"ms |[a-z]+ +\d+ ", line)]
    assert len(table) == 8
    assert len({len(line) for line in table}) == 1
    assert max(map(len, lines)) <= 80
    assert "note:" not in text


def test_the_terminal_warns(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a", (40,), health={"throttled": ["under-voltage"]}, reason=None)
    path.write_bytes(path.read_bytes() + b'{"kind": "inte')
    text = render_text(summarize([read_log(path)]))
    assert max(len(line) for line in text.splitlines() if str(path) not in line) <= 80
    text = " ".join(text.split())
    assert "note: throttled in 1 of 1 intervals (under-voltage): these run slower" in text
    assert "note: the run has no summary: it was killed, or it still goes on" in text
    assert f"note: {path}: line 3 is cut off" in text
    assert "temperature not known" in text


def test_a_comparison_shows_both_sides(tmp_path: Path) -> None:
    a = summary_of(tmp_path / "a", (40,))
    b = summary_of(tmp_path / "b", (400,), header=other_run(card="other", threads=4))
    text = render_comparison(compare(a, b))
    assert "A: digits · litert 2.1 · 2 threads" in text
    assert "B: other · litert 2.1 · 4 threads" in text
    total = next(line.split() for line in text.splitlines() if line.startswith("total"))
    ratio = b.stages["total"].p99_ns / a.stages["total"].p99_ns
    assert total[-1] == f"{ratio:.2f}"
    assert "n/a" in render_comparison(compare(a, summary_of(tmp_path / "c", ())))


def test_machines_get_numbers(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "a", (40,), health={})
    data = to_json(summary)
    assert data["stages"]["inference"]["p99"] == summary.stages["inference"].p99_ns
    assert data["stages"]["age"]["count"] == 40
    assert data["temperature_c"] is None
    assert data["throttled_intervals"] is None
    assert (data["runs"][0]["complete"], data["runs"][0]["reason"]) == (True, "duration reached")
    killed = to_json(summary_of(tmp_path / "b", (40,), reason=None))
    assert killed["runs"][0]["complete"] is False
    assert killed["temperature_c"] == {"min": 51.5, "max": 51.5}
    ratios = comparison_to_json(compare(summary, summary))["ratios"]
    assert ratios["total"] == {"p50": 1.0, "p99": 1.0}
