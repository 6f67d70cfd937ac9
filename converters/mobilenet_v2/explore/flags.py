"""What `edge-mobilenet explore` may be asked; to know it takes no onnx."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.command import within
from edge.picture_flags import add_picture_flags

NAMES = ("relu", "units", "ablations", "int8")
DEFAULT_SAMPLES = 64
MAX_SAMPLES, MAX_SEED = 10_000, 2**32 - 1
EXAMPLES = """\
examples:
  edge-mobilenet explore
  edge-mobilenet explore --only relu --seed 3
  edge-mobilenet explore model.onnx --images photos/ --preprocess imagenet -o explored/
"""


def add_explore(commands: Any) -> None:  # noqa: ANN401 (argparse keeps the type to itself)
    """Add the command to those of edge-mobilenet."""
    p = commands.add_parser(
        "explore",
        help="the experiments behind its design, with pictures",
        description="Run the experiments behind the design of MobileNetV2, on the bundled digits "
        "or on a model of your own, and write explore.html and a PNG for each figure. "
        "The same seed gives the same numbers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "model", type=Path, nargs="?", help="float32 ONNX file (default: the bundled digits)"
    )
    p.add_argument(
        "--images",
        metavar="SET",
        help="folder, glob or .npz of pictures for the model (default: rendered digits for the "
        "bundled model, synthetic pictures for another)",
    )
    p.add_argument(
        "-o", "--out", type=Path, default=Path("explore"), metavar="DIR", help="default: explore"
    )
    p.add_argument(
        "--only",
        type=_names,
        default=NAMES,
        metavar="LIST",
        help=f"of {','.join(NAMES)} (default: all)",
    )
    p.add_argument(
        "--samples",
        type=within(int, 1, MAX_SAMPLES),
        default=DEFAULT_SAMPLES,
        metavar="N",
        help="pictures to calibrate on; as many others, up to 64, are looked at, or the same where "
        f"there are no others (default {DEFAULT_SAMPLES})",
    )
    p.add_argument(
        "--seed",
        type=within(int, 0, MAX_SEED),
        default=0,
        metavar="N",
        help="of the random matrices (default 0)",
    )
    p.add_argument("--json", action="store_true", help="print all numbers, for machines")
    add_picture_flags(p, "the model's card")
    p.set_defaults(run=_run)


def _names(text: str) -> tuple[str, ...]:
    wanted = text.split(",")
    if set(wanted) - set(NAMES):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: some of {','.join(NAMES)}")
    return tuple(name for name in NAMES if name in wanted)


def _run(args: argparse.Namespace) -> int:
    from converters.mobilenet_v2.explore.command import explore

    return explore(args)
