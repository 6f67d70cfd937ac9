"""The page in headless Chromium: nothing stands out of the screen, in either theme."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.progress import silent
from converters.mobilenet_v2.explore import int8, int8_chapter, units, units_chapter
from converters.mobilenet_v2.explore.page import PAGE, files_of, to_json, to_text
from tests.browser.chromium import CHROMIUM, browsing
from tests.converters.mobilenet_v2.explore import networks

SCREENS = {"desktop": (1200, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def page_file(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    asked = networks.asked(networks.network(), pictures, folder)
    chapters = {
        "units": units_chapter.chapter(units.run(asked)),
        "int8": int8_chapter.chapter(int8.run(asked)),
    }
    text, numbers = to_text(chapters), to_json(chapters)
    assert [line for line in text.splitlines() if line[:2] == "- "] == [
        f"- {finding}" for one in numbers.values() for finding in one["findings"]
    ]
    path = folder / PAGE
    path.write_bytes(files_of(chapters, "a network", silent)[PAGE])
    return path


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_it_fits_a_desktop_and_a_phone(page_file: Path) -> None:
    with browsing() as page:
        for screen, (width, height) in SCREENS.items():
            page.resize(width, height, dark=screen == "phone")
            page.open(page_file.as_uri())
            page.until("document.querySelectorAll('figure svg').length === 6")
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, screen
            sizes = page.evaluate(
                "[...document.querySelectorAll('figure svg text')]"
                ".map(one => one.getBoundingClientRect().height)"
            )
            assert min(sizes) > 7, screen
            figures = page.evaluate(
                "[...document.querySelectorAll('figure [role=img]')]"
                ".map(one => one.getAttribute('aria-label'))"
            )
            assert all(any(c.isdigit() for c in words) for words in figures)
            assert page.faults == []
