"""How fast the artifacts run: all of them in turn, in one process, on one thread.

    python -m tests.benchmarks.speed --shared ../shared

A round gives each model some inferences on end; rounds alternate the order. Whatever else the
machine does then meets all models alike, and the ratio of two models' medians in the same round is
what can be trusted. ONNX Runtime runs with its default session.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.backends import open_model
from edge.backends.base import Backend
from edge.preprocess import Preprocessor
from tests.benchmarks import inputs, record
from tests.benchmarks.artifacts import ToolError, Workshop

OURS_TFLITE, OURS_ONNX = "ours, LiteRT", "ours, ONNX Runtime"
GOOGLE, STATIC = "Google's int8, LiteRT", "quantize_static U8S8, ONNX Runtime"
# Which ratios the artifacts are judged by: ours over the other.
PAIRS = ((OURS_TFLITE, GOOGLE), (OURS_ONNX, STATIC))
WARMUP = 20


def measure(
    backends: Mapping[str, Backend], rounds: int, length: int
) -> dict[str, list[list[float]]]:
    """Return the ms of each inference, by model and round."""
    samples: dict[str, list[list[float]]] = {name: [] for name in backends}
    for backend in backends.values():
        for _ in range(WARMUP):
            backend.run()
    for number in range(rounds):
        order = list(backends) if number % 2 else list(backends)[::-1]
        for name in order:
            run = backends[name].run
            run()  # brings the model back into the caches
            times_ns = [time.perf_counter_ns()]
            for _ in range(length):
                run()
                times_ns.append(time.perf_counter_ns())
            samples[name].append([round(t / 1e6, 4) for t in np.diff(times_ns).tolist()])
    return samples


def summarize(samples: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Return median, minimum and 90th percentile in ms of each model."""
    flat = {name: [ms for block in blocks for ms in block] for name, blocks in samples.items()}
    return {
        name: {
            "median_ms": statistics.median(times),
            "min_ms": min(times),
            "p90_ms": float(np.percentile(times, 90)),
        }
        for name, times in flat.items()
    }


def ratios(
    samples: Mapping[str, Sequence[Sequence[float]]], ours: str, other: str
) -> dict[str, float]:
    """Return ours over the other: of the rounds' medians (quartiles), and of the minima."""
    each = [
        statistics.median(a) / statistics.median(b)
        for a, b in zip(samples[ours], samples[other], strict=True)
    ]
    low, middle, high = np.percentile(each, (25, 50, 75))
    least = [min(ms for block in samples[name] for ms in block) for name in (ours, other)]
    return {
        "median": float(middle),
        "quartile_1": float(low),
        "quartile_3": float(high),
        "of_minima": least[0] / least[1],
    }


def main() -> None:
    """Measure, print tables, keep the samples."""
    parser = record.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--length", type=int, default=12, help="inferences a model and round")
    args = parser.parse_args()
    shared = inputs.find(args.shared)
    workshop = Workshop(shared, args.work, args.onnx2tf)
    ours = workshop.ours(inputs.CLASSIFIER)
    paths: dict[str, Path] = {
        OURS_TFLITE: ours["tflite"],
        GOOGLE: shared.google,
        OURS_ONNX: ours["onnx"],
        "float32, ONNX Runtime": shared.model(inputs.CLASSIFIER),
    }
    notes = []
    makers: dict[str, Callable[[], Path]] = {
        STATIC: lambda: workshop.quantize_static(inputs.CLASSIFIER, "uint8", "minmax"),
        "onnx2tf + ai-edge-quantizer, LiteRT": lambda: workshop.ai_edge_quantizer(
            inputs.CLASSIFIER
        ),
        "float32 of onnx2tf, LiteRT": lambda: workshop.float_tflite(inputs.CLASSIFIER),
    }
    for name, make in makers.items():
        try:
            paths[name] = make()
        except ToolError as error:
            notes.append(f"{name}: {error}")
    backends = {name: open_model(path, threads=1) for name, path in paths.items()}
    picture = next(iter(inputs.calibration_images(shared.calibration)))
    for backend in backends.values():
        feeder = Preprocessor(inputs.PREPROCESS, backend.spec.input)
        feeder.run(picture.pixels, picture.color, backend.input_view())

    before = record.machine()
    samples = measure(backends, args.rounds, args.length)
    figures: dict[str, Any] = {
        "models": summarize(samples),
        "ratios": {
            f"{first} / {other}": ratios(samples, first, other)
            for first, other in PAIRS
            if other in samples
        },
    }
    print(record.heading(f"Speed, 1 thread, {args.rounds * args.length} inferences each", before))
    print(show(figures))
    for note in notes:
        print(f"left out: {note}", file=sys.stderr)
    record.save("speed", before, figures=figures, left_out=notes, samples_ms=samples)


def show(figures: Mapping[str, Any]) -> str:
    """Return the two tables."""
    models = [
        (name, *(f"{entry[key]:.2f}" for key in ("median_ms", "min_ms", "p90_ms")))
        for name, entry in figures["models"].items()
    ]
    compared = [
        (
            name,
            f"{entry['median']:.3f}",
            f"{entry['quartile_1']:.3f} to {entry['quartile_3']:.3f}",
            f"{entry['of_minima']:.3f}",
        )
        for name, entry in figures["ratios"].items()
    ]
    return "\n".join(
        [
            record.table(("file", "median ms", "min ms", "p90 ms"), models),
            "",
            record.table(("ratio", "median of rounds", "quartiles", "of minima"), compared),
        ]
    )


if __name__ == "__main__":
    main()
