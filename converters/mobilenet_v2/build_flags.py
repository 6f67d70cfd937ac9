"""What `edge-mobilenet build` may be asked; to know it takes no onnx."""

from __future__ import annotations

import argparse
import re
import textwrap
from pathlib import Path
from typing import Any

from converters.mobilenet_v2.architecture import (
    ACTIVATIONS,
    BOTTLENECKS,
    MAX_EXPANSION,
    MAX_SIDE,
    PADDINGS,
)
from edge.command import within
from edge.picture_flags import add_picture_flags

MAX_WIDTH, MAX_CLASSES, MAX_SEED = 16.0, 1_000_000, 2**32 - 1
DESCRIPTION = (
    "Write MobileNetV2 as a float32 ONNX file, for edge-convert. With --weights, what they tell by "
    "their shapes and names (width, expansion, classes, channels, padding, BatchNorm's epsilon, "
    "preprocessing) need not be named, and where it is, must agree. Files are told by their "
    "content: PyTorch's state dicts (torchvision, timm, transformers) as .safetensors, .npz or "
    ".pth, Keras' .h5 and .keras, model.json of TensorFlow.js. Nothing in a file is run. Without "
    "--weights, they are untrained. The short side that pictures are brought to goes with the "
    "resolution, 256 pixels for 224, unless --resize names it."
)
EXAMPLES = """\
examples:
  edge-mobilenet build --width 0.5 --resolution 160 --classes 10
  edge-mobilenet build --weights mobilenet_v2-7ebf99e0.pth --labels labels.txt -o model.onnx
  edge-mobilenet build --weights hf://timm/mobilenetv2_100.ra_in1k
  edge-mobilenet build --weights my_model.keras --labels labels.txt
  edge-mobilenet build --weights features.h5 --classes 7
  edge-mobilenet build --no-shortcut --bottleneck relu --expansion 4
"""


def add_build(commands: Any) -> None:  # noqa: ANN401 (argparse keeps the type to itself)
    """Add the command to those of edge-mobilenet."""
    p = commands.add_parser(
        "build",
        help="an ONNX file of any width, size and classes, with weights from elsewhere",
        description=textwrap.fill(DESCRIPTION, 80),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="default: mobilenet_v2_WIDTH_SIDE.onnx"
    )
    p.add_argument(
        "--weights",
        metavar="FILE",
        help="a file, or hf://owner/name[@revision][/file] on the Hugging Face hub",
    )
    p.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    p.add_argument(
        "--resolution",
        type=_resolution,
        metavar="N|HxW",
        help="pixels of the input (default: the file's, else 224)",
    )
    p.add_argument(
        "--classes",
        type=within(int, 1, MAX_CLASSES),
        metavar="N",
        help="default: the weights', else one a label, else 1000; of weights without a classifier "
        "it adds a new one, untrained",
    )
    p.add_argument(
        "--batch", choices=("1", "free"), default="1", help="pictures at a time (default 1)"
    )
    p.add_argument(
        "--seed",
        type=within(int, 0, MAX_SEED),
        default=0,
        metavar="N",
        help="of untrained weights (default 0)",
    )
    p.add_argument("--json", action="store_true", help="print what was built, for machines")
    _add_network(p)
    add_picture_flags(p, "what the weights' framework trains with")
    p.set_defaults(run=_run)


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network (default: the weights', else the paper's)")
    group.add_argument(
        "--width", type=within(float, 0.01, MAX_WIDTH), metavar="W", help="default 1.0"
    )
    group.add_argument(
        "--expansion",
        type=within(int, 1, MAX_EXPANSION),
        metavar="T",
        help="of each block but the first, which has none (default 6)",
    )
    group.add_argument("--activation", choices=ACTIVATIONS, help="default relu6")
    group.add_argument(
        "--no-shortcut",
        dest="shortcut",
        action="store_const",
        const=False,
        help="no block adds its input to its output",
    )
    group.add_argument(
        "--bottleneck",
        choices=BOTTLENECKS,
        help="relu: the activation behind each projection too (default linear)",
    )
    group.add_argument(
        "--padding",
        choices=PADDINGS,
        help="of 3x3 convolutions: tensorflow's SAME (the default without weights) or pytorch's, "
        "1 on every side",
    )
    group.add_argument(
        "--epsilon",
        type=within(float, 1e-12, 1.0),
        metavar="E",
        help="BatchNorm's (default 1e-5)",
    )


def _resolution(text: str) -> tuple[int, int]:
    """Return height and width in pixels."""
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text, re.ASCII)
    height, width = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise argparse.ArgumentTypeError(
            f"{text!r}; allowed: a side, as 224, or height and width, as 96x160, to {MAX_SIDE}"
        )
    return height, width


def _run(args: argparse.Namespace) -> int:
    from converters.mobilenet_v2.build_command import build_file

    return build_file(args)
