"""edge-convert: an ONNX classifier in, int8 ONNX and int8 TFLite out."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from calibration.progress import bar
from calibration.spread.flags import add_spread_flags, spread_flags
from converters.request import (
    DEFAULT_SAMPLES,
    FORMATS,
    IOS,
    LEVELS,
    TARGETS,
    Format,
    Request,
)
from edge.command import new_parser, run_command
from edge.errors import EdgeError, MissingExtraError
from edge.picture_flags import add_picture_flags, picture_flags
from edge.text import printable

NAME = "edge-convert"
KINDS = {
    "int8": "quantize to int8, as ONNX and as TFLite (the default); what is quantized, as TFLite",
    "float32": "write TFLite that is not quantized",
    "float16": "the same with its weights as float16: half the size",
}
OBSERVERS = ("mse", "minmax", "percentile")
EXAMPLES = """\
  edge-convert --int8 model.onnx
  edge-convert --int8 model.onnx --calibration photos/ --labels labels.txt --preprocess imagenet
  edge-convert --int8 --per-tensor model.onnx --calibration photos/
  edge-convert --int8 quantized.onnx
  edge-convert --float16 model.onnx
  edge-convert --int8 two_heads.onnx --scores logits
  edge-convert --int8 model.onnx --calibration photos/ --evaluate labelled/ --max-drop 0.5 -o out/
  edge-convert --int8 model.onnx --calibration /data/photos/ --samples 5000 --jobs 4
"""


def parser() -> argparse.ArgumentParser:
    p = new_parser(
        NAME,
        "Convert a float32 ONNX image classifier to int8 ONNX and int8 TFLite, with one "
        "calibration, and show how close both are to it; or to TFLite in float32 or float16. One "
        "that is already quantized, in the QDQ form, becomes int8 TFLite with its own scales.",
        EXAMPLES,
    )
    p.add_argument("model", type=Path, help="ONNX file, float32 or quantized, opset 11 or newer")
    kinds = p.add_mutually_exclusive_group()
    for kind, words in KINDS.items():
        kinds.add_argument(
            f"--{kind}", dest="kind", action="store_const", const=kind, default="int8", help=words
        )
    p.add_argument("-o", "--out", type=Path, metavar="DIR", help="default: beside the model")
    p.add_argument(
        "--formats", type=_formats, metavar="LIST", help="of int8 (default: onnx,tflite)"
    )
    p.add_argument(
        "--target",
        choices=tuple(TARGETS),
        default="any",
        help="what ONNX Runtime will run on: any (uint8 activations, the default) or arm (int8)",
    )
    p.add_argument(
        "--io",
        choices=tuple(IOS),
        default="int8",
        help="what the artifacts take and give: integers (the default; what they mean is in the "
        "file), uint8, or float32 as the source model does",
    )
    p.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    p.add_argument(
        "--scores",
        metavar="NAME",
        help="of several outputs, the one with the classes' scores (default: the only one of shape "
        "[1, classes], or the one with as many classes as labels)",
    )
    p.add_argument(
        "--per-tensor",
        action="store_true",
        help="of int8: one scale for all weights of a layer, for accelerators that take no others; "
        "it costs accuracy (default: one for each channel)",
    )
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    data = p.add_argument_group("pictures")
    data.add_argument(
        "--calibration",
        metavar="SET",
        help="folder, glob or .npz that shows what the camera will; without it: synthetic images",
    )
    data.add_argument(
        "--samples",
        type=int,
        default=DEFAULT_SAMPLES,
        metavar="N",
        help=f"how many of them to calibrate on (default {DEFAULT_SAMPLES})",
    )
    data.add_argument(
        "--strict",
        action="store_true",
        help="exit 3, writing nothing, when a fault is found in the calibration set",
    )
    data.add_argument(
        "--observer",
        choices=OBSERVERS,
        help="how ranges are chosen (default: mse on pictures, minmax on synthetic ones)",
    )
    data.add_argument(
        "--optimize",
        choices=LEVELS,
        help="how much is tried to lose less than rounding to nearest does (default: fast; where "
        "--max-drop or --min-sqnr is not met, then best, then the fewest layers in float)",
    )
    data.add_argument(
        "--evaluate",
        metavar="DIR",
        help="labelled pictures: labels.csv (file,class) or a folder for each class",
    )
    data.add_argument(
        "--max-drop",
        type=float,
        metavar="PP",
        help="with --evaluate: exit 3, writing nothing, when top-1 drops by more points "
        "whatever is tried",
    )
    data.add_argument(
        "--sensitivity",
        action="store_true",
        help="trace where the error comes from on 8 pictures (default: on as many as take about a "
        "second, and on none of a network that is too large for that)",
    )
    data.add_argument(
        "--min-sqnr",
        type=float,
        metavar="DB",
        help="the same for the scores' signal-to-noise ratio against float, which needs no labels",
    )
    add_picture_flags(p, "the model's card")
    add_spread_flags(p)
    return p


def _formats(text: str) -> tuple[Format, ...]:
    chosen = tuple(f for f in FORMATS if f in text.split(","))
    if not chosen or set(text.split(",")) - set(FORMATS):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: onnx, tflite or onnx,tflite")
    return chosen


class UsageError(EdgeError):
    """Arguments that do not go together."""


def request_of(args: argparse.Namespace) -> Request:
    """Return what the arguments ask for. Raises: UsageError: they do not go together."""
    if args.max_drop is not None and args.evaluate is None:
        raise UsageError("--max-drop needs --evaluate DIR: there is no top-1 without labels")
    if args.max_drop is not None and not (math.isfinite(args.max_drop) and args.max_drop >= 0):
        raise UsageError(f"--max-drop {args.max_drop}; allowed: percentage points from 0")
    if args.min_sqnr is not None and not math.isfinite(args.min_sqnr):
        raise UsageError(f"--min-sqnr {args.min_sqnr}; allowed: decibels, such as 25")
    if args.samples < 1:
        raise UsageError(f"--samples {args.samples}; at least 1 is needed")
    if args.kind != "int8" and args.formats not in (None, ("tflite",)):
        raise UsageError(f"--{args.kind} writes TFLite alone; the float ONNX file is the model")
    if args.kind != "int8" and args.sensitivity:
        raise UsageError(f"--sensitivity traces roundings to int8, and --{args.kind} makes none")
    if args.kind != "int8" and args.per_tensor:
        raise UsageError(
            f"--per-tensor is about the scales of int8 weights; with --{args.kind} there are none"
        )
    return Request(
        model=args.model,
        kind=args.kind,
        out=args.out or args.model.parent,
        calibration=args.calibration,
        samples=args.samples,
        observer=args.observer,
        optimize=args.optimize,
        evaluate=args.evaluate,
        max_drop=args.max_drop,
        min_sqnr=args.min_sqnr,
        formats=args.formats or (FORMATS if args.kind == "int8" else ("tflite",)),
        target=args.target,
        io=IOS[args.io],
        labels=args.labels,
        scores=args.scores,
        strict=args.strict,
        sensitivity=args.sensitivity,
        per_tensor=args.per_tensor,
        picture=picture_flags(args),
        spread=spread_flags(args),
    )


def run(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    request = request_of(args)
    try:
        # Everything that reads or writes models is behind this import, and `--help` is not.
        from converters import outputs, pipeline
    except ModuleNotFoundError as cause:
        raise MissingExtraError(cause.name or "onnx", "convert") from cause
    conversion = pipeline.convert(request, bar)
    for note in conversion.source.notes:
        print(f"{NAME}: note: {note}", file=sys.stderr)
    for finding in conversion.lint.findings if conversion.lint else ():
        print(f"{NAME}: warning: {printable(str(finding))}", file=sys.stderr)
    conversion.check_gate()
    paths = outputs.save(conversion)
    if args.json:
        print(json.dumps(outputs.to_json(conversion), indent=2, ensure_ascii=False))
    else:
        print(outputs.to_text(conversion, paths))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(NAME, run, argv)


if __name__ == "__main__":
    sys.exit(main())
