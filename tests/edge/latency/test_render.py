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
from edge.latency.describe_incidents import WORDS, sentences, words
from edge.latency.incidents import COUNTS, NOTHING, TALLIES, Incidents, Tally
from edge.latency.log_lines import LogError
from edge.latency.read import read_log, read_runs
from edge.latency.render_html import render_html
from edge.latency.render_text import render_comparison, render_text
from edge.latency.report_json import comparison_to_json, to_json
from edge.latency.summary import Summary, summarize
from edge.page import LIGHT, milliseconds
from tests.edge.latency.logs import SECOND, other_run, write_log

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


BEFELL = Incidents(
    pauses=Tally(2, 5 * SECOND, 4 * SECOND),
    suspends=Tally(1, 3600 * SECOND, 3600 * SECOND),
    clock_steps=Tally(1, -90 * SECOND, -90 * SECOND),
    outages=Tally(3, 70 * SECOND, 60 * SECOND),
    interrupted=1,
    broken=2,
    blank=3,
    identical=4,
    resized=5,
    longest_gap_ns=61 * SECOND,
)


def test_incidents_are_told_in_every_form(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "a", (40, 30, 20), incidents=[NOTHING, BEFELL, NOTHING])
    text = render_text(summary)
    assert max(map(len, text.splitlines())) <= 80
    told = (
        "the loop stood still 2 times, 5.0 s in all, at longest 4.0 s (stopped, swapped out, or",
        "starved by other work); labelled frames that have such a time in theirs: 1",
        "the machine slept once, for 1 h 00 min: no figure has that time in it",
        "the wall clock was set once, by up to -1 min 30 s: no figure has that in it",
        "the camera was lost 3 times, 1 min 10 s in all, at longest 1 min 00 s",
        "frames that were no pictures, and were passed over: 2",
        "frames without contrast (a covered lens, an empty buffer): 3",
        "frames like the one before to the bit (a frozen picture): 4",
        "frames of another size than the one before: 5",
    )
    flowing = " ".join(text.split())
    shown = " ".join(render_html(summary).split())
    for sentence in told:
        assert sentence in flowing
        assert sentence[1:] in shown
    assert "longest time without a frame 1 min 01 s" in flowing
    assert "longest time without a frame 1 min 01 s" in shown
    # When it was: the second interval begins after 10 s.
    assert re.search(r"<td[^>]*>10\.0 s</td>\s*<td[^>]*>the loop stood still", shown)
    data = to_json(summary)
    assert data["incidents"]["pauses"] == {
        "count": 2,
        "total_ns": 5 * SECOND,
        "longest_ns": 4 * SECOND,
    }
    assert data["incidents"]["longest_gap_ns"] == 61 * SECOND
    [interval] = data["runs"][0]["incidents"]
    assert (interval["start_ns"], interval["interrupted"]) == (11 * SECOND, 1)


def test_the_rest_of_an_outage_is_no_other_one() -> None:
    rest = Incidents(outages=Tally(0, 4 * SECOND, 9 * SECOND))
    assert sentences(rest) == ("the camera was still lost, for another 4.0 s",)


def test_every_kind_has_its_words() -> None:
    kinds = {*TALLIES, *COUNTS} - {"interrupted"}
    assert set(WORDS) == kinds
    assert words(BEFELL) == tuple(WORDS.values())
    assert words(Incidents(blank=1, longest_gap_ns=5)) == ("blank picture",)
    assert words(NOTHING) == ()


def test_what_did_not_happen_is_not_told(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "a", (40, 30))
    assert "note:" not in render_text(summary)
    assert "without a frame" not in render_text(summary)
    assert "Incidents" not in render_html(summary)
    assert to_json(summary)["unaccounted"] == 0


def test_counts_that_do_not_add_up_are_told(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a", (40, 30))
    path.write_text(path.read_text().replace('"captured":41,', '"captured":44,', 1))
    summary = summarize([read_log(path)])
    assert summary.unaccounted == 3
    assert "neither processed nor skipped, or the other way round: 3" in " ".join(
        render_text(summary).split()
    )


def test_many_incidents_and_many_runs_do_not_fill_the_report(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for number in range(60):
        header = other_run(started=f"2026-03-02T09:14:{number:02d}+00:00", source=f"v4l2:{number}")
        write_log(path, (2,), header=header, incidents=[BEFELL], reason=f"reason {number}")
    summary = summarize(read_runs(path))
    shown, text = render_html(summary), render_text(summary)
    assert "and 10 intervals more" in shown
    assert "reason 7 and 52 more" in shown
    assert "v4l2:7 and 52 more" in text
    assert len(text) < 5000
