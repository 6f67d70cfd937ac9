"""Make docs/live-page.png: the live page of the demo's camera, as a desktop and a phone show it.

What befalls the camera is written down: it is lost and comes back, its lens is covered for a while,
and at last, for the phone, it is lost again.

python -m tests.browser.live_page --model build/demo/digits.int8.tflite
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from edge.files import write_bytes
from edge.tensors import U8
from tests.browser.chromium import Page, browsing

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "live-page.png"
DESKTOP, PHONE = (1000, 1340), (390, 1340)
# The script of the loop, with the demo's pictures from a camera that fails as it is told.
SCRIPT = """
import numpy as np
from device_scripts import live_classify
from edge.sources.digit_cards import DigitCards
from tests.edge.sources.scripted import Fail, Frames, Script

cards = DigitCards()
look = dict(picture=lambda number: cards.picture(number)[0][..., ::-1], every_s=0.03)
dark = dict(picture=lambda _: np.random.default_rng().integers(0, 4, (480, 640, 3), np.uint8))
script = Script(
    Frames(1300, **look), Fail("unplugged", refusals=3), Frames(450, **look),
    Frames(90, every_s=0.03, **dark), Frames(900, **look), Fail("unplugged", refusals=6),
)
script.name = "digits"
live_classify.open_source = lambda *_, **__: script.open()
raise SystemExit(live_classify.main())
"""
# When the camera has gone through all but the end.
SECONDS = 80
# What a page takes to open is not of the run.
SETTLE_S = 4
# Of the picture in the README.
SCALE = 0.65


@contextmanager
def running(model: Path, folder: Path) -> Iterator[str]:
    """Run the loop on its camera and give the URL of its page."""
    command = [sys.executable, "-c", SCRIPT, "--model", str(model), "--web", "0"]
    with subprocess.Popen(
        [*command, "--log", str(folder / "log"), "--interval", "5"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as loop:
        assert loop.stderr is not None
        try:
            for line in loop.stderr:
                if url := re.search(r"--web: (http://\S+)", line):
                    yield url[1]
                    break
        finally:
            loop.send_signal(signal.SIGTERM)
            loop.communicate()


def shot(page: Page, size: tuple[int, int], url: str, *, dark: bool) -> U8:
    """Return the page as it looks on such a screen, [H, W, 3] BGR; dark, once it has a notice."""
    page.resize(*size, dark=dark)
    page.open(url)
    page.until("document.querySelectorAll('#guesses li').length > 1")
    page.until("!document.getElementById('picture').hidden")
    page.until("document.querySelectorAll('.charts figure:not([hidden])').length >= 3")
    time.sleep(SETTLE_S)
    if dark:
        page.until("!document.getElementById('problems').hidden")
    png = np.frombuffer(page.screenshot(), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)[: size[1], : size[0]]


def main() -> None:
    """Run the loop for a while, take both pictures, and write them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=PICTURE)
    args = parser.parse_args()
    # The start of a browser takes all of a small machine: not while the loop runs.
    with (
        browsing() as page,
        tempfile.TemporaryDirectory() as folder,
        running(args.model, Path(folder)) as url,
    ):
        time.sleep(SECONDS)
        desktop = shot(page, DESKTOP, url, dark=False)
        phone = shot(page, PHONE, url, dark=True)
    gap = np.full((DESKTOP[1], 24, 3), 255, np.uint8)
    both = cv2.resize(
        np.hstack([desktop, gap, phone]), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA
    )
    _, png = cv2.imencode(".png", both, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write_bytes(args.output, png.tobytes())


if __name__ == "__main__":
    main()
