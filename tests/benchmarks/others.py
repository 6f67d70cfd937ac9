"""What users do today instead, as whole processes: quantize_static and ai-edge-quantizer.

    python -m tests.benchmarks.others quantize-static model.onnx out.onnx --images DIR
    python -m tests.benchmarks.others ai-edge-quantizer float.tflite out.tflite --images DIR

Each does what its own documentation shows for static int8, per channel, on the same preprocessed
images. ai-edge-quantizer takes a float TFLite file, such as onnx2tf makes of an ONNX file.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from calibration.dataset import tensors
from edge.tensors import F32
from tests.benchmarks.inputs import INPUT, PREPROCESS, SAMPLES, calibration_images

# Histogram methods keep every activation of so many images at once; 128 would take 9 GB.
STRIDE = 8


class _Reader:
    """What quantize_static calibrates on: images one at a time, by ranges where it asks so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.set_range(0, SAMPLES)

    def set_range(self, start_index: int, end_index: int) -> None:
        images = calibration_images(self._folder)
        places = list(range(len(images)))[start_index:end_index]
        self._inputs: Iterator[F32] = tensors(images.subset(places), PREPROCESS, INPUT)

    def __len__(self) -> int:
        return SAMPLES

    def get_next(self) -> dict[str, F32] | None:
        x = next(self._inputs, None)
        return None if x is None else {INPUT.name: x}


def quantize_static(args: argparse.Namespace) -> None:
    """Pre-process and quantize an ONNX model with ONNX Runtime's own tool."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(_Reader, quantization.CalibrationDataReader):  # type: ignore[misc]
        """The tool asks for its own base class."""

    types = {"uint8": quantization.QuantType.QUInt8, "int8": quantization.QuantType.QInt8}
    methods = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "percentile": quantization.CalibrationMethod.Percentile,
    }
    options: dict[str, Any] = {}
    if args.method == "percentile":
        options = {"CalibStridedMinMax": STRIDE, "CalibPercentile": 99.999}
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(args.model), str(prepared))
        quantization.quantize_static(
            str(prepared),
            str(args.out),
            Reader(args.images),
            per_channel=not args.per_tensor,
            activation_type=types[args.activation],
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=methods[args.method],
            extra_options=options,
            calibration_cache_path=args.cache,
        )


def ai_edge_quantizer(args: argparse.Namespace) -> None:
    """Quantize a float TFLite model with ai-edge-quantizer's static int8 recipe."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    runner = Interpreter(model_path=str(args.model))
    (signature, details), *_ = runner.get_signature_list().items()
    name = details["inputs"][0]
    # A list: the tool iterates twice.
    inputs = [
        {name: np.ascontiguousarray(x.transpose(0, 2, 3, 1))}
        for x in tensors(calibration_images(args.images), PREPROCESS, INPUT)
    ]
    tool = quantizer.Quantizer(str(args.model))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    # Its default of 16 threads is slower than one a core.
    ranges = tool.calibrate({signature: inputs}, num_threads=os.cpu_count() or 1)
    tool.quantize(ranges).export_model(str(args.out), overwrite=True)


def main() -> None:
    """Run one tool; whatever it raises ends the process with a traceback and status 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, tool in (
        ("quantize-static", quantize_static),
        ("ai-edge-quantizer", ai_edge_quantizer),
    ):
        command = commands.add_parser(name, help=(tool.__doc__ or "").strip())
        command.add_argument("model", type=Path)
        command.add_argument("out", type=Path)
        command.add_argument("--images", type=Path, required=True, metavar="DIR")
        command.set_defaults(tool=tool)
        if tool is quantize_static:
            command.add_argument("--activation", choices=("uint8", "int8"), default="uint8")
            command.add_argument("--method", choices=("minmax", "percentile"), default="minmax")
            command.add_argument("--cache", metavar="FILE", help="ranges to use again")
            command.add_argument("--per-tensor", action="store_true")
    args = parser.parse_args()
    args.tool(args)


if __name__ == "__main__":
    main()
