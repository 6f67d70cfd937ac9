"""How close int8 comes to float, on real images: ours and what else there is, in one run.

    python -m tests.benchmarks.accuracy --shared ../shared

128 calibration images (and, for ours, none at all; and what `--optimize best` makes of them), 500
validation images. ONNX files are run with exact kernels, as an Arm board computes them, and, for
information, with the kernels that ONNX Runtime takes on this machine by default. SQNR is that of
each image's centred logits, or of plain features, over all images, in dB.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.labelled import open_labelled
from calibration.metrics import agreement, centred_sqnr_db, sqnr_db, top_k
from edge.backends import open_model
from edge.backends.base import Backend
from edge.preprocess import Preprocessor
from edge.tensors import F32, Array
from tests.benchmarks import inputs, record
from tests.benchmarks.artifacts import ToolError, Workshop

EXACT, DEFAULT = ", exact kernels", ", default kernels"
FLOAT = "float32"
STEPS = (0, 1, 2)
# Flags, and whether synthetic images are calibrated on.
OURS: dict[str, tuple[tuple[str, ...], bool]] = {
    "ours": ((), False),
    "ours, best": (("--optimize", "best"), False),
    "ours, synthetic calibration": ((), True),
}
# Google's build knows one more class, "background", in front.
GOOGLE = "Google's int8 TFLite"


@dataclass(frozen=True, slots=True)
class Scores:
    """What one model gave: `raw` integers or floats, `real` float32, both [images, outputs]."""

    raw: Array
    real: F32


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One artifact against float: dB, and shares of the images, None where there is none."""

    sqnr_db: float | None
    agreement: float | None = None
    top1: float | None = None


def open_all(paths: Mapping[str, Path]) -> dict[str, Backend]:
    """Open each file; an int8 ONNX file twice, with exact and with default kernels."""
    backends: dict[str, Backend] = {}
    for name, path in paths.items():
        if path.suffix == ".onnx" and name != FLOAT:
            backends[name + EXACT] = open_model(path, threads=1, exact_kernels=True)
            backends[name + DEFAULT] = open_model(path, threads=1)
        else:
            backends[name] = open_model(path, threads=1)
    return backends


def artifacts(
    workshop: Workshop, model: str, notes: list[str], *, percentile: bool
) -> dict[str, Path]:
    """Make every artifact of a model; a tool that fails goes into `notes`."""
    paths = {FLOAT: workshop.shared.model(model)}
    for name, (flags, synthetic) in OURS.items():
        for kind, path in workshop.ours(model, *flags, synthetic=synthetic).items():
            paths[f"{name}, {kind}"] = path
    for kind, path in workshop.ours(model, "--per-tensor").items():
        paths[f"ours, per tensor, {kind}"] = path
    makers: dict[str, Callable[[], Path]] = {
        "onnx2tf + ai-edge-quantizer": partial(workshop.ai_edge_quantizer, model)
    }
    for method in ("minmax", "percentile") if percentile else ("minmax",):
        for activation, title in (("uint8", "U8S8"), ("int8", "S8S8")):
            makers[f"quantize_static {title} {method}"] = partial(
                workshop.quantize_static, model, activation, method
            )
    makers["quantize_static U8S8 minmax, per tensor"] = partial(
        workshop.quantize_static, model, "uint8", "minmax", "--per-tensor"
    )
    for name, make in makers.items():
        try:
            paths[name] = make()
        except ToolError as error:
            notes.append(f"{name}: {error}")
    return paths


def run_all(
    backends: Mapping[str, Backend], shared: inputs.Shared, classes: int
) -> tuple[dict[str, Scores], NDArray[np.int64]]:
    """Show every model the same validation images; return what each gave, and the classes."""
    images = open_labelled(str(shared.validation), classes)
    feeders = {
        name: Preprocessor(inputs.PREPROCESS, backend.spec.input)
        for name, backend in backends.items()
    }
    raw: dict[str, list[Array]] = {name: [] for name in backends}
    true = []
    for picture, true_class in images:
        true.append(true_class)
        for name, backend in backends.items():
            feeders[name].run(picture.pixels, picture.color, backend.input_view())
            raw[name].append(backend.run().copy())
    scores = {}
    for name, rows in raw.items():
        stacked = np.stack(rows)
        scores[name] = Scores(stacked, backends[name].spec.output.dequantize(stacked))
    return scores, np.asarray(true)


def judge_classifier(scores: Mapping[str, Scores], true: Array) -> dict[str, Accuracy]:
    """Return agreement, top-1 and SQNR of centred logits for each model."""
    reference = scores[FLOAT].real
    result = {}
    for name, score in scores.items():
        if name == GOOGLE:
            result[name] = Accuracy(
                None,
                agreement(reference, score.real[:, 1:]),
                top_k(score.real[:, 1:], true, 1),
            )
            continue
        result[name] = Accuracy(
            None if name == FLOAT else centred_sqnr_db(reference, score.real),
            agreement(reference, score.real),
            top_k(score.real, true, 1),
        )
    return result


def judge_features(scores: Mapping[str, Scores]) -> dict[str, Accuracy]:
    """Return the SQNR of features for each model but the float one."""
    reference = scores[FLOAT].real
    return {
        name: Accuracy(sqnr_db(reference, score.real))
        for name, score in scores.items()
        if name != FLOAT
    }


def steps_apart(scores: Mapping[str, Scores], ours: str) -> dict[str, float]:
    """Return the share of outputs of our two artifacts that are at most 0, 1, 2 steps apart."""
    # uint8 counts from 128 more than int8 does.
    onnx = scores[f"{ours}, onnx{EXACT}"].raw.astype(np.int16) - 128
    apart = np.abs(onnx - scores[f"{ours}, tflite"].raw)
    return {str(limit): float(np.mean(apart <= limit)) for limit in STEPS} | {
        "largest": float(apart.max())
    }


def measure(
    workshop: Workshop, model: str, notes: list[str], *, percentile: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of one model, and what each artifact said of each image."""
    is_classifier = model == inputs.CLASSIFIER
    paths = artifacts(workshop, model, notes, percentile=percentile)
    if is_classifier:
        paths[GOOGLE] = workshop.shared.google
    backends = open_all(paths)
    scores, true = run_all(backends, workshop.shared, 1000)
    judged = judge_classifier(scores, true) if is_classifier else judge_features(scores)
    figures = {
        "images": len(true),
        "models": {name: asdict(accuracy) for name, accuracy in judged.items()},
        "steps_apart": {name: steps_apart(scores, name) for name in OURS},
    }
    # One character an image; the images and their classes themselves stay where they are.
    best = {
        name: score.real[:, 1:].argmax(axis=1) if name == GOOGLE else score.real.argmax(axis=1)
        for name, score in scores.items()
    }
    agrees = {name: _bits(found == best[FLOAT]) for name, found in best.items()}
    right = {name: _bits(found == true) for name, found in best.items()} if is_classifier else {}
    reference = scores[FLOAT].real
    noise = {
        name: [round(float(x), 5) for x in np.square(score.real - reference).mean(axis=1)]
        for name, score in scores.items()
        if score.real.shape == reference.shape
    }
    samples = {"right": right, "agrees_with_float": agrees, "mean_squared_error": noise}
    return figures, samples


def _bits(flags: Array) -> str:
    return "".join("1" if flag else "0" for flag in flags)


def show(model: str, figures: Mapping[str, Any]) -> str:
    """Return the tables of one model."""

    def cell(value: float | None, form: str) -> str:
        return "" if value is None else form.format(value)

    rows = [
        (
            name,
            cell(entry["sqnr_db"], "{:.2f}"),
            cell(entry["agreement"], "{:.1%}"),
            cell(entry["top1"], "{:.1%}"),
        )
        for name, entry in figures["models"].items()
    ]
    apart = [
        (name, *(f"{steps[str(limit)]:.3%}" for limit in STEPS), f"{steps['largest']:.0f}")
        for name, steps in figures["steps_apart"].items()
    ]
    return "\n".join(
        [
            f"\n### {model}, {figures['images']} images\n",
            record.table(("artifact", "SQNR dB", "agrees with float", "top-1"), rows),
            "",
            record.table(
                ("LiteRT and ONNX Runtime (exact) apart", "0", "<= 1", "<= 2 steps", "largest"),
                apart,
            ),
        ]
    )


def main() -> None:
    """Measure, print tables, keep the samples."""
    parser = record.parser(__doc__)
    parser.add_argument(
        "--no-percentile", action="store_true", help="leave out the slowest other calibration"
    )
    args = parser.parse_args()
    shared = inputs.find(args.shared)
    workshop = Workshop(shared, args.work, args.onnx2tf)
    before = record.machine()
    print(record.heading("Accuracy", before))
    figures, samples, notes = {}, {}, list[str]()
    for model in (inputs.CLASSIFIER, inputs.FEATURES):
        figures[model], samples[model] = measure(
            workshop, model, notes, percentile=not args.no_percentile
        )
        print(show(model, figures[model]))
    for note in notes:
        print(f"left out: {note}", file=sys.stderr)
    record.save("accuracy", before, figures=figures, left_out=notes, samples=samples)


if __name__ == "__main__":
    main()
