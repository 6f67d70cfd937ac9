"""edge-evaluate: models of any kind on one labelled folder, against the float one."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from calibration.dataset import expanded
from calibration.evaluation.chunks import Plan
from calibration.evaluation.comparison import Report, compare
from calibration.evaluation.report_json import to_json
from calibration.evaluation.run import measure
from calibration.evaluation.subjects import Subjects, Wanted, find_subjects
from calibration.evaluation.text import render_text
from calibration.labelled import open_labelled
from calibration.progress import bar
from calibration.spread.flags import add_spread_flags, spread_flags
from edge.card import read_labels
from edge.command import new_parser, run_command
from edge.errors import EdgeError
from edge.files import replacing
from edge.picture_flags import add_picture_flags, picture_flags

NAME = "edge-evaluate"
EXAMPLES = """\
  edge-evaluate model.int8.tflite model.int8.onnx --float model.onnx --images labelled/
  edge-evaluate ours.tflite theirs.tflite --images labelled/ --preprocess tf --class-offset 1
  edge-evaluate model.int8.tflite --float model.onnx --images imagenet/ --jobs 4 --cache scores/
  edge-evaluate model.int8.tflite --images /data/imagenet/ --scheduler tcp://10.0.0.1:8786
  edge-evaluate model.int8.tflite --float model.onnx --images labelled/ --max-drop 0.5 --html e.html
"""


class UsageError(EdgeError):
    """Arguments that do not go together."""


def parser() -> argparse.ArgumentParser:
    p = new_parser(
        NAME,
        "Run any mix of float ONNX, quantized ONNX and TFLite classifiers on labelled images; say "
        "how often each is right, what changed from the float model, and how sure that is.",
        EXAMPLES,
    )
    p.add_argument("models", metavar="ARTIFACT", nargs="+", type=Path, help=".onnx or .tflite")
    p.add_argument(
        "--images",
        metavar="DIR",
        required=True,
        help="labelled pictures: labels.csv (file,class) or a folder for each class",
    )
    p.add_argument(
        "--float",
        dest="reference",
        type=Path,
        metavar="MODEL",
        help="what the others are held against (default: the first ARTIFACT)",
    )
    p.add_argument(
        "--samples", type=int, metavar="N", help="that many of the images, at even steps"
    )
    p.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    p.add_argument(
        "--class-offset",
        type=int,
        metavar="N",
        help="of a model that has N more classes than the others, leave out the first N: 1 for "
        "1001 classes, the background first",
    )
    p.add_argument("--scores", default="", metavar="NAME", help="of several outputs, the scores")
    p.add_argument(
        "--max-drop",
        type=float,
        metavar="PP",
        help="exit 3 when a model's top-1 is lower than the reference's by more points",
    )
    p.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep the reference's scores there, to go on from, or to use again",
    )
    p.add_argument("--html", type=Path, metavar="FILE", help="write the report as one page")
    p.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_picture_flags(p, "each model's card")
    add_spread_flags(p)
    return p


def run(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    _check(args)
    report = evaluate(args)
    if args.html:
        # jinja2 is imported where a page is asked for.
        from calibration.evaluation.page import render_html

        with replacing(args.html) as temporary:
            temporary.write_text(render_html(report), encoding="utf-8")
    if args.json:
        print(json.dumps(to_json(report), indent=2, ensure_ascii=False))
    else:
        print(render_text(report), end="")
    if args.html:
        print(f"written: {args.html}", file=sys.stderr)
    report.check_gate(args.max_drop)
    return 0


def evaluate(args: argparse.Namespace) -> Report:
    """Run what the arguments ask for. Raises: EdgeError: something of it cannot be done."""
    wanted = Wanted(
        files=_files(args),
        labels=read_labels(args.labels) if args.labels else (),
        offset=args.class_offset,
        picture=picture_flags(args),
        scores=args.scores,
    )
    subjects = find_subjects(wanted)
    classes = subjects.classes
    # The set itself, with what it holds of every file, is not kept: processes open their parts.
    labelled = open_labelled(args.images, classes.count, classes.names, limit=args.samples)
    images = dict(labelled.classes)
    del labelled
    measured = measure(_plan(args, subjects), images, spread_flags(args), bar)
    return compare(args.images, subjects, measured)


def _plan(args: argparse.Namespace, subjects: Subjects) -> Plan:
    """Return what to do, by paths that do not depend on where a process was started."""
    models = tuple(replace(m, path=str(Path(m.path).absolute())) for m in subjects.models)
    cache = args.cache.absolute() if args.cache else None
    return Plan(models, args.images, expanded(args.images).absolute(), cache)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(NAME, run, argv)


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError where the arguments do not go together."""
    spread_flags(args)
    if args.samples is not None and args.samples < 1:
        raise UsageError(f"--samples {args.samples}; at least 1 is needed")
    if args.class_offset is not None and args.class_offset < 0:
        raise UsageError(f"--class-offset {args.class_offset}; allowed: classes from 0")
    if args.max_drop is not None and not (math.isfinite(args.max_drop) and args.max_drop >= 0):
        raise UsageError(f"--max-drop {args.max_drop}; allowed: percentage points from 0")
    files = _files(args)
    if len(files) == 1 and args.max_drop is not None:
        raise UsageError("--max-drop needs a model to compare with; give --float MODEL")
    if args.html and args.html.resolve() in {path.resolve() for path in files}:
        raise UsageError(f"--html {args.html} is one of the models; name another file")


def _files(args: argparse.Namespace) -> tuple[Path, ...]:
    """Return the models, each once, the reference first."""
    given = [args.reference, *args.models] if args.reference else args.models
    return tuple({path.resolve(): path for path in reversed(given)}.values())[::-1]


if __name__ == "__main__":
    sys.exit(main())
