"""The files of a conversion: what is in them, and where they lie until they are verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from converters.graph import Graph
from converters.ladder import PLAIN
from converters.measure import Calibrated
from converters.onnx_qdq.writer import write_float, write_qdq
from converters.quantize.quantized import QuantizedGraph
from converters.request import TARGETS, Request
from converters.source import Source
from converters.tflite import writer as tflite
from edge.card import ModelCard
from edge.files import write_bytes


def final_card(source: Source, calibrated: Calibrated | None, request: Request) -> ModelCard:
    """Return the card that goes into the artifacts."""
    if source.given is not None:
        words = "int8, with the scales and integers of the source, which was already quantized"
        return replace(source.card, quantization={"scheme": words})
    if calibrated is None:
        scheme = {"scheme": "float16 weights"} if request.kind == "float16" else {}
        return replace(source.card, quantization=scheme)
    weights = "tensor" if request.per_tensor else "channel"
    ranges, reached, mixing = calibrated.ranges, calibrated.climb, calibrated.mixing
    return replace(
        source.card,
        quantization={
            "scheme": f"int8, weights per {weights} and symmetric, activations per tensor",
            **({"in_float": [layer.output for layer in mixing.layers]} if mixing else {}),
            "observer": ranges.observer,
            "images": ranges.samples,
            "synthetic": ranges.synthetic,
            "skipped_images": len(calibrated.broken),
            "target": request.target,
            "optimized": reached.kept if reached else PLAIN,
        },
    )


def write_artifacts(
    request: Request, subject: QuantizedGraph | Graph, card: ModelCard
) -> dict[str, bytes]:
    """Return the files' contents by format; of a float Graph only TFLite."""
    if isinstance(subject, Graph):
        half = request.kind == "float16"
        return {"tflite": tflite.write_float_tflite(subject, card, half=half)}
    quantized, artifacts = subject, dict[str, bytes]()
    if "onnx" in request.formats:
        model = write_qdq(quantized, card, activation=TARGETS[request.target], io=request.io)
        artifacts["onnx"] = model.SerializeToString(deterministic=True)
    if "tflite" in request.formats:
        artifacts["tflite"] = tflite.write_tflite(quantized, card, io=request.io)
    return artifacts


def reference_file(source: Source, folder: Path) -> Path:
    """Return the model to compare with: the source, if it can be run as it is on one picture."""
    if source.batch == 1 and source.reference is None:
        return source.onnx_file
    path = folder / "float.onnx"
    content = source.reference
    if content is None or source.batch > 1:
        content = write_float(source.graph).SerializeToString()
    write_bytes(path, content)
    return path


def place_files(folder: Path, artifacts: Mapping[str, bytes], kind: str) -> dict[str, Path]:
    """Write each content into a file of its own; return the files by format."""
    paths = {}
    for output, data in artifacts.items():
        paths[output] = folder / f"model.{kind}.{output}"
        write_bytes(paths[output], data)
    return paths
