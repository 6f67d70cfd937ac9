"""edge-doctor: what on this machine stops or slows the loop, and the command that mends it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from edge.command import new_parser, run_command
from edge.doctor.checks import examine
from edge.doctor.finding import State
from edge.doctor.machine import Machine
from edge.doctor.render import render_text, to_json
from edge.errors import EdgeError, GateError
from edge.text import cut, printable

NAME = "edge-doctor"
DESCRIPTION = """\
Say what on this machine will stop or slow edge-live, and the command that mends each finding.
Nothing is changed: the commands are for you to read, and to run. It takes some seconds.
Exit status: 0 where nothing stops the loop, 3 where something does, 2 for bad arguments."""
EXAMPLES = """\
  edge-doctor                                         everything
  edge-doctor model.int8.tflite                       and how fast this model runs here
  edge-doctor model.float32.tflite model.int8.tflite  and whether int8 is worth it
  edge-doctor --log /var/log/edge/run.jsonl           and whether a log can be written there
  edge-doctor --json | jq '.findings[] | select(.state == "fail")'
"""
_WIPED = "\r\033[K"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns: its exit status."""
    return run_command(NAME, _examine, argv)


def _examine(argv: Sequence[str]) -> int:
    args = _parser().parse_args(argv)
    machine = Machine(log_dir=_folder(args.log), models=tuple(dict.fromkeys(args.models)))
    try:
        findings = examine(machine, _show if sys.stderr.isatty() else _hide)
    finally:
        if sys.stderr.isatty():
            print(_WIPED, end="", file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps(to_json(machine, findings), indent=2))
    else:
        print(render_text(machine, findings), end="")
    stops = any(finding.state is State.FAIL for finding in findings.values())
    return GateError.exit_status if stops else 0


def _show(subject: str) -> None:
    line = cut(f"looking at {printable(subject)} ...", shutil.get_terminal_size().columns - 1)
    print(f"{_WIPED}{line}", end="", file=sys.stderr, flush=True)


def _hide(_: str) -> None:
    pass


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(NAME, DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="a .tflite or .onnx file to time here")
    add("--log", type=Path, metavar="PATH", help="where edge-live will log (default: here)")
    add("--json", action="store_true", help="for machines")
    return parser


def _folder(log: Path | None) -> Path:
    """Return the folder of the log. Raises: EdgeError: there is none."""
    folder = Path.cwd() if log is None else log.absolute().parent
    if not folder.is_dir():
        raise EdgeError(f"--log {log}: there is no folder {folder}; make it, or name another")
    return folder


if __name__ == "__main__":
    raise SystemExit(main())
