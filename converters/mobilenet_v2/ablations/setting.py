"""What is trained, on what, and how often: fixed by where the reference lands (README.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, replace
from typing import Any

from converters.mobilenet_v2.ablations.pictures import Drawing
from converters.mobilenet_v2.architecture import PAPER_STAGES, Architecture
from edge.preprocess import PreprocessSpec

REFERENCE = "reference"
SIDE = 32
CLASSES = 10
# The paper's first four stages, where its bottlenecks are narrowest: 8, 8, 8 and 16 channels here.
NETWORK = Architecture(0.25, (SIDE, SIDE), CLASSES, stages=PAPER_STAGES[:4])
# Each differs from the reference in one thing.
ABLATIONS: Mapping[str, Architecture] = {
    REFERENCE: NETWORK,
    "ReLU6 bottleneck": replace(NETWORK, bottleneck="relu"),
    "no shortcut": replace(NETWORK, shortcut=False),
    **{f"expansion {t}": replace(NETWORK, expansion=t) for t in (1, 2, 4)},
}
DRAWING = Drawing(sizes=(0.7, 1.0), place=0.08, turn_degrees=8.0, inks=(0.5, 1.0), noise=0.06)
PREPROCESS = PreprocessSpec("rgb", mean=(0.5,), std=(0.5,), resize=SIDE)

SEEDS = (1, 2, 3)
EPOCHS = 4
# Pictures of each digit, and the seeds that they are drawn from.
TRAINING_RENDERS, HELD_OUT_RENDERS = 20, 20
TRAINING_SEED, HELD_OUT_SEED = (7, 4), (7, 5)
CALIBRATION_PICTURES = 256


def described() -> dict[str, Any]:
    """Return the setting, as it is stored beside what came of it."""
    return {
        "training_pictures_a_digit": TRAINING_RENDERS,
        "held_out_pictures_a_digit": HELD_OUT_RENDERS,
        "drawing": _plain(asdict(DRAWING)),
        "epochs": EPOCHS,
        "seeds": list(SEEDS),
        "calibration_pictures": CALIBRATION_PICTURES,
        "reference": facts(NETWORK),
    }


def facts(architecture: Architecture) -> dict[str, Any]:
    """Return an architecture as JSON gives it back."""
    return _plain(asdict(architecture) | {"stages": list(map(astuple, architecture.stages))})


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts as JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain
