"""Runs the loop on a real V4L2 camera and real clocks: those of a guest that an emulator plays.

    python -m tests.v4l2_lab

Exit status: 0 all is right, or was left out with the reason; 1 something is wrong; 2 the guest
cannot be made, or does not come to its end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.pi_lab.lab import Checks
from tests.pi_lab.roots import DIGITS, REPOSITORY, LabError, python
from tests.v4l2_lab import guest
from tests.v4l2_lab.examine import examine

KINDS = ("tflite", "onnx")
PARTS = ("edge", "device_scripts", "tests/__init__.py", "tests/v4l2_lab")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.v4l2_lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what the guest left")
    keep: Path | None = parser.parse_args(argv).keep
    if keep is not None and keep.exists():
        parser.error(f"--keep: {keep} is there already; name a folder that is not")
    lacks = guest.missing()
    if lacks:
        print(f"v4l2-lab: skipped: {'; '.join(lacks)}")
        return 0
    # Ended from outside, it must still end what it started and take away what it made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory() as folder:
            faults = _run(Path(folder), keep)
    except LabError as error:
        print(f"v4l2-lab: {error}", file=sys.stderr)
        return 2
    print(f"the guest is kept in {guest.cache()}")
    return 1 if faults else 0


def _run(folder: Path, keep: Path | None) -> list[str]:
    """Do everything, and return what is wrong."""
    started_s = time.monotonic()
    python("-m", "converters.cli", "--int8", DIGITS, "-o", folder)
    models = [folder / f"digits.int8.{kind}" for kind in KINDS]
    kept = guest.prepare()
    print(f"the guest is there after {time.monotonic() - started_s:.0f} s, and boots", flush=True)
    things = {part: REPOSITORY / part for part in PARTS} | {path.name: path for path in models}
    out = guest.boot(kept, things, folder)
    if keep is not None:
        shutil.copytree(out, keep)
    checks = Checks()
    examine(out, _label(models[0], out / "bars.png"), checks)
    print(f"v4l2-lab: {time.monotonic() - started_s:.0f} s, {len(checks.faults)} faults")
    return checks.faults


def _label(model: Path, picture: Path) -> str:
    """Return what the loop says of a picture on this machine."""
    script = "device_scripts/live_classify.py"
    lines = python(script, "--model", model, "--source", picture, "--json").splitlines()
    return str(json.loads(lines[0])["guesses"][0]["label"])


if __name__ == "__main__":
    raise SystemExit(main())
