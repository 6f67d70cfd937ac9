"""Runs the loop on the real picamera2 and libcamera, without a Pi.

    python -m tests.pi_lab [x86_64] [aarch64]

Exit status: 0 all is right, or was left out with the reason; 1 something is wrong; 2 a machine or
what it is to look at cannot be made.
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

from tests.pi_lab import scenes
from tests.pi_lab.examine import examine
from tests.pi_lab.lab import Lab
from tests.pi_lab.machine import MACHINES, cache, prepare
from tests.pi_lab.roots import DIGITS, LabError, python

CANDIDATES = 60


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.pi_lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help=", ".join(MACHINES))
    names = parser.parse_args(argv).machines or list(MACHINES)
    if set(names) - set(MACHINES):
        parser.error(f"machines are {', '.join(MACHINES)}")
    able = []
    for name in names:
        lacks = MACHINES[name].missing()
        if lacks:
            print(f"{name}: skipped: {'; '.join(lacks)}")
        else:
            able.append(name)
    if not able:
        return 0
    # Ended from outside, it must still end what it started and take away what it made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return _examine(able)
    except LabError as error:
        print(f"pi-lab: {error}", file=sys.stderr)
        return 2


def _examine(names: Sequence[str]) -> int:
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "shared"
        digits = _make(shared)
        for name in names:
            started_s = time.monotonic()
            root = prepare(MACHINES[name])
            place = Path(folder) / name
            shutil.copytree(shared, place)
            lab = Lab(MACHINES[name], root, place)
            examine(lab, digits)
            failed |= bool(lab.faults)
            print(f"{name}: {time.monotonic() - started_s:.0f} s, {len(lab.faults)} faults")
    print(f"the machines are kept in {cache()}")
    return 1 if failed else 0


def _make(lab: Path) -> list[str]:
    """Put models, pictures and cameras into a folder; return what is on the pictures.

    The pictures are those of ten different digits that the model knows on this PC: whether it does
    is tested elsewhere, here it is the way through the camera.

    Raises: LabError: they cannot be made.
    """
    lab.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder)
        truth = scenes.make_pictures(pictures, CANDIDATES)
        calibration, shown = pictures / "calibration", pictures / "evaluation"
        python("-m", "converters.cli", "--int8", DIGITS, "-o", lab, "--calibration", calibration)
        known = []
        for kind in ("tflite", "onnx"):
            model = lab / f"digits.int8.{kind}"
            script = "device_scripts/live_classify.py"
            lines = python(script, "--model", model, "--source", shown, "--json").splitlines()
            results = [json.loads(line) for line in lines[:-1]]
            known.append({Path(r["name"]).name: r["guesses"][0]["label"] for r in results})
        names: dict[str, str] = {}
        for name, digit in truth.items():
            if all(labels.get(name) == digit for labels in known):
                names.setdefault(digit, name)
        if len(names) < 10:
            raise LabError(f"the model knows only {sorted(names)} on {CANDIDATES} pictures")
        scenes.write(lab, shown, list(names.values()))
    return list(names)


if __name__ == "__main__":
    raise SystemExit(main())
