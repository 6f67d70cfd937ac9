"""The page in headless Chromium: what a person sees, on a desktop and on a phone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.web.access import Access
from edge.web.app import guarded_web
from tests.browser.chromium import CHROMIUM, Page, browsing
from tests.edge.broadcast.runs import frame, packed, result, status, view
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
