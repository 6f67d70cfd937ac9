"""The page in headless Chromium: what a person sees, on a desktop and on a phone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.clock import boot_ns
from edge.device import Health
from edge.latency.incidents import NOTHING, Incidents, Tally
from edge.web.access import Access
from edge.web.app import guarded_web
from tests.browser.chromium import CHROMIUM, Page, browsing
from tests.edge.broadcast.runs import FACTS, frame, interval, packed, result, status, view
from tests.edge.web.serving import serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
TOKEN = "0123456789abcdef"  # noqa: S105
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> & 'cat'"
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browsing() as page:
        yield page


def take(seen: RunView, message: tuple[str, dict[str, object], list[bytes | memoryview]]) -> None:
    seen.take(wire.Message(*packed(message)))  # type: ignore[arg-type]


def a_run(label: str) -> RunView:
    """Return a view with a picture, its label, and two minutes of history."""
    seen = view()
    take(seen, wire.picture_message(frame(90), result(1, label)))
    take(seen, wire.results_message([(time.monotonic_ns(), result(1, label))], 0))  # type: ignore[arg-type]
    for second in range(120):
        take(seen, wire.status_message(status(30 * second, second), 0))  # type: ignore[arg-type]
    return seen


@contextmanager
def shown(page: Page, seen: RunView, token: str = "") -> Iterator[str]:
    """Serve the view, and leave the page when it ends, so that it does not ask for ever."""
    page.faults.clear()
    with serving(guarded_web(seen, Access("127.0.0.1", 0, token))) as client:
        try:
            yield f"http://127.0.0.1:{client.port}"
        finally:
            page.open("about:blank")


@pytest.mark.parametrize("screen", WIDTHS)
def test_what_a_person_sees(page: Page, screen: str) -> None:
    width, height = WIDTHS[screen]
    with shown(page, a_run(HOSTILE)) as url:
        page.resize(width, height, dark=screen == "phone")
        page.open(f"{url}/")
        page.until("!document.getElementById('picture').hidden")
        page.until("document.querySelectorAll('.charts figure:not([hidden])').length === 4")
        seen = page.evaluate("document.getElementById('label').textContent")
        assert seen == HOSTILE
        assert page.evaluate("document.getElementById('confidence').textContent").startswith("90 %")
        assert page.evaluate("document.querySelectorAll('#guesses li').length") == 2
        assert page.evaluate("document.querySelectorAll('#problems li').length") == 2
        tiles = page.evaluate("document.getElementById('tiles').innerText")
        for figure in ("30.5", "2.0", "4.0", "48.5", "3.2"):
            assert figure in tiles
        assert page.evaluate("document.getElementById('picture').naturalWidth") == 64
        # No text stands out of the screen, and nothing has no name for those who do not see.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for svg in page.evaluate(
            "[...document.querySelectorAll('.plot svg')].map(one => one.getAttribute('aria-label'))"
        ):
            assert svg
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert color == ("rgb(18, 23, 30)" if screen == "phone" else "rgb(245, 247, 250)")
        points = page.evaluate("document.querySelector('.plot polyline').getAttribute('points')")
        assert len(points.split(" ")) > 100
    assert page.faults == []


def test_the_picture_follows_and_can_be_held(page: Page) -> None:
    seen = a_run("one")
    label = "document.getElementById('label').textContent"
    with shown(page, seen) as url:
        page.resize(*WIDTHS["desktop"])
        page.open(f"{url}/")
        page.until(f"{label} === 'one'")
        take(seen, wire.picture_message(frame(1), result(2, "two")))
        page.until(f"{label} === 'two'")
        page.evaluate("document.getElementById('pause').click()")
        page.until("document.getElementById('age').textContent === 'paused'")
        time.sleep(0.3)
        take(seen, wire.picture_message(frame(2), result(3, "three")))
        time.sleep(0.5)
        assert page.evaluate(label) == "two"
        page.evaluate("document.getElementById('pause').click()")
        page.until(f"{label} === 'three'")
    assert page.faults == []


@pytest.fixture
def befallen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunView]:
    def befallen(*befell: Incidents) -> RunView:
        """Return a view of some seconds, in each of which something befell the run."""
        seen = RunView(facts=FACTS, labels=(), ask_health=lambda: Health(48.5, 0))
        asleep_ns = boot_ns() - time.monotonic_ns()
        start_ns = time.monotonic_ns() - (len(befell) + 1) * 10**9
        monkeypatch.setattr("edge.broadcast.view.boot_ns", lambda: start_ns + asleep_ns)
        take(seen, wire.status_message(status(), 0))  # type: ignore[arg-type]
        for found in befell:
            end_ns = start_ns + 10**9
            one = replace(interval([1.0], found), start_ns=start_ns, end_ns=end_ns)
            take(seen, wire.interval_message(one))  # type: ignore[arg-type]
            start_ns = end_ns
            take(seen, wire.status_message(status(), 0))  # type: ignore[arg-type]
        take(seen, wire.results_message([(time.monotonic_ns(), result(1, "cat"))], 0))  # type: ignore[arg-type]
        return seen

    return befallen


LOST = Incidents(outages=Tally(1, 10**9, 10**9), longest_gap_ns=10**9)
BLANK = Incidents(blank=30)


@pytest.mark.parametrize("screen", WIDTHS)
def test_what_befell_the_run_is_marked_and_told(
    page: Page, screen: str, befallen: Callable[..., RunView]
) -> None:
    seen = befallen(NOTHING, LOST, NOTHING, BLANK, BLANK)
    take(seen, wire.status_message(status(notice="no frame for 7 s, opening it again"), 0))  # type: ignore[arg-type]
    with shown(page, seen) as url:
        page.resize(*WIDTHS[screen])
        page.open(f"{url}/")
        page.until("document.querySelectorAll('#marks li').length === 2")
        notice = page.evaluate("document.getElementById('problems').innerText")
        assert "no frame for 7 s, opening it again" in notice
        # A voice says it once, and not each second with another number.
        alarm = page.evaluate("document.getElementById('alarm').textContent")
        assert alarm == "no frame, opening it again"
        told = page.evaluate("[...document.querySelectorAll('#marks li')].map(li => li.innerText)")
        assert "blank picture" in told[0]
        assert "(a covered lens, an empty buffer): 60" in told[0]
        assert "camera lost" in told[1]
        assert "the camera was lost once, for 1.0 s" in told[1]
        in_all = page.evaluate("document.getElementById('befell').innerText")
        assert "longest time without a frame 1.00 s" in in_all
        # Each chart has both marks, of their length and in their order; one line of words.
        bands = "[...document.querySelector('.plot').querySelectorAll('rect')]"
        (x, width), (later_x, later_width) = page.evaluate(
            f"{bands}.map(r => ['x', 'width'].map(name => Number(r.getAttribute(name))))"
        )
        assert 0 < x < later_x < 600
        assert later_width == pytest.approx(2 * width, rel=0.05)
        assert page.evaluate(f"{bands}[0].textContent") == "the camera was lost once, for 1.0 s"
        words = "[...document.querySelectorAll('.plot .words')].map(one => one.textContent)"
        assert "blank picture" in page.evaluate(words)
        label = page.evaluate("document.querySelector('.plot svg').getAttribute('aria-label')")
        assert label.endswith("; marked: camera lost, blank picture")
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[screen][0]
        take(seen, wire.status_message(status(), 0))  # type: ignore[arg-type]
        page.until("document.getElementById('problems').hidden")
        assert page.evaluate("document.getElementById('alarm').textContent") == ""
    assert page.faults == []


def test_a_run_that_nothing_befell_says_so(page: Page, befallen: Callable[..., RunView]) -> None:
    with shown(page, befallen(NOTHING, NOTHING)) as url:
        page.open(f"{url}/")
        page.until("!document.getElementById('befell').hidden")
        assert page.evaluate("document.querySelectorAll('#marks li, .plot rect').length") == 0
        told = page.evaluate("document.getElementById('befell').innerText")
        assert "Nothing in the last ten minutes." in told
        assert re.search(r"In all, since .*: nothing", told)
    assert page.faults == []


def test_a_run_that_stands_still_is_said_to(page: Page) -> None:
    seen = a_run("cat")
    late = (time.monotonic_ns() - 5 * 10**9, result(1, "cat"))
    take(seen, wire.results_message([late], 0))  # type: ignore[arg-type]
    with shown(page, seen) as url:
        page.open(f"{url}/")
        page.until("document.getElementById('state').textContent.startsWith('no label for')")
        assert page.evaluate("document.getElementById('state').dataset.state") == "late"


def test_the_link_with_the_token_opens_the_page_and_keeps_it_out_of_sight(page: Page) -> None:
    with shown(page, a_run("cat"), TOKEN) as url:
        page.open(f"{url}/")
        page.until("location.pathname === '/login' && document.querySelector('form') !== null")
        page.evaluate("document.getElementById('token').value = 'wrong'")
        page.evaluate("document.querySelector('form').submit()")
        page.until("location.search === '?wrong' && !document.getElementById('wrong').hidden")
        assert page.faults == []
        page.open(f"{url}/login#{TOKEN}")
        page.until("location.pathname === '/' && !document.getElementById('picture').hidden")
        assert page.evaluate("document.cookie") == ""
        assert TOKEN not in json.dumps(page.call("Page.getNavigationHistory"))
    assert page.faults == []


def test_faults_of_a_page_are_noticed(page: Page) -> None:
    page.faults.clear()
    page.open("data:text/html,<script>nothing.there</script>")
    page.until("document.readyState === 'complete'")
    assert any("nothing is not defined" in fault for fault in page.faults)
    page.faults.clear()
