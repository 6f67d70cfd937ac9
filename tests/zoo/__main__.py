"""Converts classifiers of torchvision and timm, and shows how close the artifacts are to them.

    python -m tests.zoo [NAME ...] [--exporter torchscript|dynamo]

Each is built with seeded random weights, exported, and converted to float TFLite and to int8. The
float file must be within 1e-4 of the largest output of ONNX Runtime; int8 is shown as it is: random
weights amplify noise as no trained ones do, so that its figure says something only beside others.
Exits with 1 where one is refused, or the float file is further off.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from calibration.progress import silent
from converters import pipeline
from converters.inventory import inventory
from converters.request import Request
from converters.source import read_source
from converters.tflite.layout import of_input
from converters.tflite.writer import write_float_tflite
from edge.backends.quiet import without_info
from edge.errors import EdgeError
from edge.picture_flags import PreprocessFlags
from edge.tensors import F32
from tests.benchmarks import record
from tests.zoo.models import ZOO, ZooModel, build, export

FLOAT_LIMIT = 1e-4
SAMPLES = 16
HEADER = (
    "model", "float off by", "int8 ONNX", "int8 TFLite", "operators", "TRANSPOSE", "PAD",
    "in float", "seconds",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    parser.add_argument("--exporter", choices=("torchscript", "dynamo"), default="torchscript")
    options = parser.parse_args()
    chosen = [model for model in ZOO if not options.names or model.name in options.names]
    before = record.machine()
    results: dict[str, dict[str, Any]] = {}
    for model in chosen:
        results[model.name] = _convert(model, options.exporter)
        print(f"{model.name}: {results[model.name]}", file=sys.stderr, flush=True)
    print(record.heading(f"Zoo, exported by {options.exporter}", before))
    print(record.table(HEADER, [_row(name, found) for name, found in results.items()]))
    if not options.names:
        record.save(f"zoo_{options.exporter}", before, models=results)
    bad = [name for name, found in results.items() if not _is_good(found)]
    print(f"\n{len(results) - len(bad)} of {len(results)} converted")
    return 1 if bad else 0


def _is_good(found: dict[str, Any]) -> bool:
    return "float_off" in found and found["float_off"] < FLOAT_LIMIT


def _convert(model: ZooModel, exporter: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the figures of one model, or why there are none."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        path = Path(folder) / f"{model.name}.onnx"
        try:
            export(model, build(model), exporter, path)
        except Exception as cause:  # noqa: BLE001 (not ours: it is said, and the next one goes on)
            return {"not exported": f"{type(cause).__name__}: {cause}".splitlines()[0][:200]}
        picture = PreprocessFlags(preset="imagenet", resize=model.side)
        request = Request(path, Path(folder), samples=SAMPLES, picture=picture)
        try:
            source = read_source(request)
            data = write_float_tflite(source.graph, source.card)
            made = pipeline.convert(request, silent)
        except EdgeError as refusal:
            return {"refused": str(refusal)}
        held, float_held = made.inventories["tflite"], inventory("tflite", data)
        return {
            "float_off": _off(path, data, source.graph.input_shape),
            "sqnr_db": {kind: made.verification.scores[kind].sqnr_db for kind in made.artifacts},
            "operators": sum(held.operators.values()),
            "transposes": held.count("TRANSPOSE"),
            "float_transposes": float_held.count("TRANSPOSE"),
            "pads": held.count("PAD", "PADV2"),
            "in_float": len(held.in_float),
            "seconds": round(time.monotonic() - started, 1),
        }


def _off(path: Path, model: bytes, shape: tuple[int, ...]) -> float:
    """Return how far the float TFLite file is from the source, relative to the largest output."""
    x: F32 = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    expected = session.run(None, {session.get_inputs()[0].name: x})[0]
    with without_info():
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], of_input(shape).from_onnx(x).reshape(detail["shape"]))
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return float(np.abs(found.ravel() - expected.ravel()).max() / np.abs(expected).max())


def _row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    if "float_off" not in found:
        return (name, *(["-"] * (len(HEADER) - 1)))
    ratios = [f"{found['sqnr_db'][kind]:.1f} dB" for kind in ("onnx", "tflite")]
    counts = ("operators", "transposes", "pads", "in_float", "seconds")
    return (name, f"{found['float_off']:.1e}", *ratios, *(str(found[key]) for key in counts))


if __name__ == "__main__":
    sys.exit(main())
