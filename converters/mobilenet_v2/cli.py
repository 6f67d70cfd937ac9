"""edge-mobilenet: build such networks, see what they are made of, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from converters.mobilenet_v2.build_flags import add_build
from converters.mobilenet_v2.explore.flags import add_explore
from edge.command import new_parser, run_command

NAME = "edge-mobilenet"
EXAMPLES = """\
  edge-mobilenet build --width 0.5 --resolution 160 --classes 10
  edge-mobilenet build --weights model.safetensors --labels labels.txt -o model.onnx
  edge-mobilenet describe model.onnx
  edge-mobilenet describe model.int8.tflite --json
  edge-mobilenet explore
"""


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(NAME, _run, argv)


def parser() -> argparse.ArgumentParser:
    p = new_parser(NAME, "What MobileNetV2, and networks like it, are made of.", EXAMPLES)
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "describe",
        help="the table of a network, how its channels flow, and what it costs",
        description="Show the table of a network (input, operator, t, c, n, s), recovered from its "
        "graph: t is the expansion, c the channels that come out, n the blocks in a row, s the "
        "stride of the first. Of each kind of block, how its channels flow; and what four ways to "
        "do its work would cost.",
    )
    one.add_argument("model", type=Path, help="ONNX or TFLite file, float or quantized")
    one.add_argument("--json", action="store_true", help="for machines, block by block")
    one.set_defaults(run=_describe)
    add_build(commands)
    add_explore(commands)
    return p


def _run(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    status: int = args.run(args)
    return status


def _describe(args: argparse.Namespace) -> int:
    # Late, so that --help needs no onnx.
    from converters.structure.describe import describe, to_json, to_text
    from converters.structure.read import read_network

    found = describe(read_network(args.model), args.model.stem)
    print(json.dumps(to_json(found), indent=2) if args.json else to_text(found), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
