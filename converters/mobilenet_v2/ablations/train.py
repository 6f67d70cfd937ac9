"""Trains every ablation from every seed: `python -m converters.mobilenet_v2.ablations.train`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from calibration.progress import silent
from converters.mobilenet_v2.ablations import setting
from converters.mobilenet_v2.ablations.pictures import Set, drawn
from converters.mobilenet_v2.ablations.results import FILE, Results, Run, read_results, to_json
from converters.mobilenet_v2.build import build
from converters.mobilenet_v2.digits.spec import LABELS
from converters.mobilenet_v2.digits.train import Recipe, fit
from converters.pipeline import convert
from converters.request import Request
from edge import files
from edge.backends import open_model
from edge.card import ModelCard
from edge.command import new_parser, run_command
from edge.device import describe_board, describe_versions
from edge.preprocess import Preprocessor
from edge.sources.digit_cards import load_digits

PARTS_OF_TRAINING = 40  # that the loss is averaged over
TRAINING_PACKAGES = ("torch", "scikit-learn")
EXAMPLES = """  nice -n 19 python -m converters.mobilenet_v2.ablations.train
  python -m converters.mobilenet_v2.ablations.train --out /tmp/again.json"""


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("train", _train, argv)


def _train(argv: Sequence[str]) -> int:
    options = _parse(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    results = _begun(options.out)
    done = {(run.name, run.seed) for run in results.runs}
    wanted = [(name, seed) for seed in setting.SEEDS for name in setting.ABLATIONS]
    missing = [each for each in wanted if each not in done]
    if not missing:
        print(f"{options.out} has all {len(wanted)} runs of this setting")
        return 0
    training, held_out = pictures("training"), pictures("held-out")
    for name, seed in missing:
        run = train_one(name, seed, training, held_out)
        results = replace(results, runs=(*results.runs, run))
        files.write_text(options.out, to_json(results))
        right, right_int8 = (sum(r) / len(held_out.classes) for r in (run.right, run.right_int8))
        print(
            f"{name}, seed {seed}: {100 * right:.2f} % in float, {100 * right_int8:.2f} % in int8, "
            f"{run.seconds:.0f} s",
            flush=True,
        )
    return 0


def _begun(out: Path) -> Results:
    """Return what a file holds of this very setting, or that nothing has been done yet."""
    about = setting.described()
    if out.exists():
        found = read_results(out)
        if found.setting == about:
            return found
    packages = {name: version(name) for name in TRAINING_PACKAGES}
    machine = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "board": describe_board(),
        "versions": describe_versions() | packages,
    }
    return Results(about, machine, setting.HELD_OUT_RENDERS, ())


def pictures(part: Literal["training", "held-out"]) -> Set:
    """Return one side of the digits as the networks see it."""
    renders, seed = {
        "training": (setting.TRAINING_RENDERS, setting.TRAINING_SEED),
        "held-out": (setting.HELD_OUT_RENDERS, setting.HELD_OUT_SEED),
    }[part]
    return drawn(load_digits(part), renders, seed, setting.SIDE, setting.DRAWING)


def train_one(name: str, seed: int, training: Set, held_out: Set) -> Run:
    """Train, convert to int8, and count what both files get right of the held-out pictures."""
    architecture = setting.ABLATIONS[name]
    started = time.process_time()
    recipe = Recipe(architecture, setting.EPOCHS, seed, threads=1)
    fitted = fit(training.pictures, training.classes, recipe)
    seconds = time.process_time() - started
    card = ModelCard(name, setting.PREPROCESS, LABELS)
    with tempfile.TemporaryDirectory(prefix="ablations-") as folder:
        place = Path(folder)
        model = place / "network.onnx"
        model.write_bytes(build(architecture, fitted.module.weights(), card).SerializeToString())
        calibration = place / "calibration.npz"
        # Evenly over all digits, and so over the hands that wrote them.
        chosen = np.linspace(0, len(training.pictures) - 1, 2 * setting.CALIBRATION_PICTURES)
        images = training.pictures[chosen.astype(int)].transpose(0, 2, 3, 1)
        np.savez(calibration, images=np.ascontiguousarray(images))
        request = Request(
            model,
            place,
            str(calibration),
            samples=setting.CALIBRATION_PICTURES,
            formats=("onnx",),
        )
        conversion = convert(request, silent)
        int8 = request.path("onnx")
        int8.write_bytes(conversion.artifacts["onnx"])
        decibels = conversion.verification.scores["onnx"].sqnr_db
        return Run(
            name=name,
            seed=seed,
            architecture=setting.facts(architecture),
            parameters=architecture.parameters(),
            multiply_adds=architecture.multiply_adds(),
            right=right_of_each(model, held_out),
            right_int8=right_of_each(int8, held_out),
            sqnr_db=decibels and round(decibels, 2),
            losses=tuple(
                round(float(part.mean()), 4)
                for part in np.array_split(fitted.losses, PARTS_OF_TRAINING)
                if len(part)
            ),
            seconds=round(seconds, 1),
        )


def right_of_each(model: Path, held_out: Set) -> tuple[int, ...]:
    """Return how many pictures of each digit a file names, computed as a board would."""
    renders = setting.HELD_OUT_RENDERS
    with closing(open_model(model, threads=1, exact_kernels=True)) as backend:
        prepare = Preprocessor(setting.PREPROCESS, backend.spec.input)
        right = np.empty(len(held_out.pictures), np.int64)
        for place, picture in enumerate(held_out.pictures):
            pixels = np.ascontiguousarray(picture.transpose(1, 2, 0))
            prepare.run(pixels, "rgb", backend.input_view())
            right[place] = backend.run().argmax() == held_out.classes[place]
    return tuple(map(int, right.reshape(-1, renders).sum(axis=1)))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("train", "Train small networks, each without something.", EXAMPLES)
    parser.add_argument(
        "--out",
        type=Path,
        default=FILE,
        help=f"file of results (default {FILE.name} beside this script); runs that it has of the "
        "same setting are kept",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
