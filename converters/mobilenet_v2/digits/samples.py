"""Writes pictures to calibrate and to evaluate the bundled model on, as PNG.

python -m converters.mobilenet_v2.digits.samples --out DIR [--calibration N] [--evaluation N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from converters.mobilenet_v2.digits.rendering import Plan, frames
from edge import files
from edge.command import new_parser, run_command
from edge.errors import EdgeError
from edge.sources.digit_cards import Digits, load_digits

WIDTH_HEIGHT = (320, 240)
# Neither is a seed of training: pictures of the same digits, but never the same pictures.
SEEDS = {"training": (7, 2), "held-out": (7, 3)}
MAX_PICTURES = 100_000
EXAMPLES = """  python -m converters.mobilenet_v2.digits.samples --out pictures
  python -m converters.mobilenet_v2.digits.samples --out pictures --calibration 256"""


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("samples", write_samples, argv)


def write_samples(argv: Sequence[str]) -> int:
    """Write `calibration/` of training digits, and `evaluation/` of held-out ones with labels."""
    options = _parse(argv)
    write_pictures(options.out / "calibration", "training", options.calibration)
    rows = write_pictures(options.out / "evaluation", "held-out", options.evaluation)
    table = "".join(f"{name},{label}\n" for name, label in rows)
    files.write_text(options.out / "evaluation" / "labels.csv", "file,class\n" + table)
    print(
        f"{options.out}: {options.calibration} pictures to calibrate on, "
        f"{options.evaluation} others to evaluate"
    )
    return 0


def write_pictures(
    folder: Path, part: Literal["training", "held-out"], count: int
) -> list[tuple[str, int]]:
    """Write `count` pictures and return their names and classes; earlier ones of ours go."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("digit_*.png"):
        old.unlink()
    digits = load_digits(part)
    rounds, rows = -(-count // len(digits)), []
    # Digits in an order that mixes the writers, so that a small set has all of them.
    order = np.random.default_rng(SEEDS[part]).permutation(len(digits))
    chosen = np.tile(order, rounds)[:count]
    picked = Digits(digits.scans[chosen], digits.classes[chosen])
    for number, (frame, label) in enumerate(frames(picked, Plan(1, SEEDS[part]))):
        small = cv2.resize(frame, WIDTH_HEIGHT, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".png", small)
        name = f"digit_{number:05d}.png"
        files.write_bytes(folder / name, data.tobytes())
        rows.append((name, label))
    return rows


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("samples", "Write pictures of digits on cards.", EXAMPLES)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument(
        "--calibration", type=int, default=64, help="pictures of training digits (default 64)"
    )
    parser.add_argument(
        "--evaluation", type=int, default=360, help="pictures of held-out digits (default 360)"
    )
    options = parser.parse_args(argv)
    for name in ("calibration", "evaluation"):
        if not 1 <= getattr(options, name) <= MAX_PICTURES:
            raise EdgeError(
                f"--{name} {getattr(options, name)}; allowed: 1 to {MAX_PICTURES} pictures"
            )
    return options


if __name__ == "__main__":
    sys.exit(main())
