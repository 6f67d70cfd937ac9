"""Make docs/live-page.png: the live page of the demo's camera, as a desktop and a phone show it.

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
DESKTOP, PHONE = (1000, 1010), (390, 1010)
# Of the picture in the README.
SCALE = 0.65


@contextmanager
def running(model: Path, folder: Path) -> Iterator[str]:
    """Run the loop on the demo's camera and give the URL of its page."""
    script = str(ROOT / "device_scripts/live_classify.py")
    command = [sys.executable, script, "--model", str(model), "--source", "digits"]
    more = ["--web", "0", "--log", str(folder / "log"), "--interval", "5"]
    with subprocess.Popen(
        [*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
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
    """Return the page as it looks on such a screen, [H, W, 3] BGR."""
    page.resize(*size, dark=dark)
    page.open(url)
    page.until("document.querySelectorAll('#guesses li').length > 1")
    page.until("!document.getElementById('picture').hidden")
    page.until("document.querySelectorAll('.charts figure:not([hidden])').length >= 3")
    png = np.frombuffer(page.screenshot(), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)[: size[1], : size[0]]


def main() -> None:
    """Run the loop for a while, take both pictures, and write them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=90, help="what the curves show")
    parser.add_argument("--output", type=Path, default=PICTURE)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(args.model, Path(folder)) as url:
        time.sleep(args.seconds)
        with browsing() as page:
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
