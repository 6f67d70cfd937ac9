"""Classify what a camera sees, and log where the time goes."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from edge.backends import MAX_THREADS
from edge.broadcast.arguments import Unseen, add_arguments, prepare
from edge.classifier import choose_labels, choose_preprocess
from edge.command import new_parser, run_command, within
from edge.live import LiveLoop, LiveOptions, LiveResult, Result, RunLog, Status
from edge.preprocess import PRESETS, ideal_short_side
from edge.service import ServiceManager
from edge.sources import KINDS, PACES, PIXEL_FORMATS, open_source
from edge.sources.base import CameraLostError, Source
from edge.sources.reopening import MAX_OUTAGE_S, keep_open
from edge.text import cut, printable
from edge.tuning.choose import BACKENDS, Threads, Wish, open_wished

NAME = "edge-live"
# What an argument may be: wide enough for every use, and what a clock can count.
SECONDS = (0.001, 10**9)
COUNT = (1, 10**12)
FPS = (0.01, 1000)
EXAMPLES = """\
  edge-live --model model.int8.tflite
  edge-live --model model.int8.tflite --labels labels.txt --source picamera2 --log run.jsonl
  edge-live --model model.int8.onnx --source v4l2:0 --duration 60 --threads 2
  edge-live --model model.int8.tflite --source pictures/ --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(NAME, _run, argv)


def _run(argv: Sequence[str]) -> int:
    args = _parser().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ServiceManager() as manager, prepare(args, is_service=manager.listens) as broadcast:
        for note in broadcast.notes:
            _note(note)
        result = _classify(args, stop, manager, broadcast)
    _print_end(result, args.log, as_json=args.json)
    return 0


def _classify(
    args: argparse.Namespace,
    stop: threading.Event,
    manager: ServiceManager,
    broadcast: Unseen,
) -> LiveResult:
    options = LiveOptions(
        top=args.top,
        duration_s=args.duration,
        frames=args.frames,
        interval_s=args.interval,
        trace=args.trace,
    )
    wish = Wish(args.model, args.threads, args.backend, args.scores)
    with closing(open_wished(wish, _note)) as backend:
        labels = choose_labels(backend.spec, args.labels)
        if not labels:
            _note("no labels in the model and no --labels: classes are shown by number")
        preprocess = choose_preprocess(backend.spec, args.preprocess)
        loop = LiveLoop(backend, preprocess, labels, options)
        short_side = ideal_short_side(preprocess, backend.spec.input)
        with (
            closing(_open_source(args, short_side)) as source,
            broadcast.on_air(backend.spec, source, labels, args.log) as listener,
        ):
            log = None
            if args.log is not None:
                log = RunLog(args.log, backend.spec, source, options.interval_s)

            def on_result(result: Result) -> None:
                manager.labelled()
                if args.json:
                    _print_result(result)

            def on_status(status: Status) -> None:
                # A line a second would wear out the card under the manager's journal.
                if manager.listens:
                    manager.status(_status_line(status))
                elif not args.json:
                    _print_status(status)

            try:
                return loop.run(
                    source,
                    stop=stop,
                    on_status=on_status,
                    on_result=on_result,
                    on_waiting=manager.alive,
                    log=log,
                    listener=listener,
                )
            finally:
                if sys.stdout.isatty():
                    print()  # what follows goes below the line that was written in place


def _open_source(args: argparse.Namespace, short_side: int | None) -> Source:
    return keep_open(
        lambda: open_source(
            args.source,
            fps=args.fps,
            short_side=short_side,
            pixel_format=args.pixel_format,
            pace=args.pace,
        ),
        max_outage_s=args.max_outage,
        fps=args.fps,
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(NAME, "Classify what a camera sees, and log where the time goes.", EXAMPLES)
    # install.sh reads options too, and does not know what others they might be short for.
    parser.allow_abbrev = False
    add = parser.add_argument
    add("--model", required=True, type=Path, help="a .tflite or .onnx classifier")
    add(
        "--scores",
        default="",
        metavar="NAME",
        help="of several outputs, the one with the classes' scores (default: as the model says)",
    )
    add("--labels", type=Path, help="one class name a line (default: those in the model)")
    add("--source", default="auto", help=f"one of: {KINDS} (default: auto)")
    add("--fps", type=within(float, *FPS), help="frames per second to ask of a camera")
    add(
        "--pixel-format",
        choices=PIXEL_FORMATS,
        help="of a V4L2 camera (default: YUYV, but MJPG where only that is fast enough)",
    )
    add(
        "--pace",
        choices=PACES,
        default="fast",
        help="play a video as fast as it is classified, without loss, or at its own pace (pictures "
        "at --fps), as a camera would (default: fast)",
    )
    add(
        "--max-outage",
        type=within(float, *SECONDS),
        default=MAX_OUTAGE_S,
        metavar="S",
        help="seconds without a frame, opening the camera again, before the run ends with exit "
        f"status {CameraLostError.exit_status} (default: {MAX_OUTAGE_S:g})",
    )
    add(
        "--threads",
        type=_threads,
        help=f"threads of one inference, 1 to {MAX_THREADS}; auto: as many as do best here, "
        "measured at the first start (default: at most 2)",
    )
    add(
        "--backend",
        choices=BACKENDS,
        help="of NAME.int8.tflite and NAME.int8.onnx beside each other, take the one for this "
        "runtime, or the faster (default: the file that --model names)",
    )
    add("--duration", type=within(float, *SECONDS), metavar="S", help="stop after so many seconds")
    add("--frames", type=within(int, *COUNT), metavar="N", help="stop after so many frames")
    add("--log", type=Path, help="write the latency log here (edge-report reads it)")
    add(
        "--interval",
        type=within(float, *SECONDS),
        default=10.0,
        metavar="S",
        help="seconds between two lines of the log (default: 10, which is kind to SD cards)",
    )
    add("--trace", action="store_true", help="put the times of every frame into the log")
    add(
        "--top",
        type=within(int, *COUNT),
        default=5,
        metavar="K",
        help="classes to name (default: 5)",
    )
    add("--preprocess", choices=tuple(PRESETS), help="for a model without a card: how it was fed")
    add("--json", action="store_true", help="one JSON object a frame, and one for the whole run")
    add_arguments(parser)
    return parser


def _threads(text: str) -> Threads:
    return "auto" if text == "auto" else int(within(int, 1, MAX_THREADS)(text))


_threads.__name__ = "int"  # argparse names it where `text` is no number


def _print_status(status: Status) -> None:
    """Show one line a second: in place on a terminal, else one below the other."""
    line = printable(_status_line(status))
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        print(f"\r\x1b[K{cut(line, columns - 1)}", end="", flush=True)
    else:
        print(line, flush=True)


def _status_line(status: Status) -> str:
    result = status.result
    seen = "waiting for the first frame"
    if result is not None:
        best = result.guesses[0]
        seen = f"{best.label} {best.confidence:.0%}"
    if status.outage_ns:
        seen = status.notice
    elif status.notice:
        seen = f"{status.notice} | {seen}"
    return (
        f"{seen} | {status.fps:.1f} fps | p50 {status.p50_ns / 1e6:.1f} ms | "
        f"p99 {status.p99_ns / 1e6:.1f} ms | skipped {status.skipped}"
    )


def _print_result(result: Result) -> None:
    print(json.dumps({"kind": "result", **asdict(result)}), flush=True)


def _print_end(result: LiveResult, log: Path | None, *, as_json: bool) -> None:
    run = result.run
    facts = {
        "captured": run.captured,
        "processed": run.processed,
        "skipped": run.skipped,
        "broken": result.broken,
        "reason": result.reason,
    }
    if as_json:
        print(json.dumps({"kind": "summary", **facts}), flush=True)
        return
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if log is not None:
        failed = f" ({result.log_failures} writes failed)" if result.log_failures else ""
        print(f"log: {printable(str(log))}{failed}")


def _note(text: str) -> None:
    print(f"{NAME}: {printable(text)}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
