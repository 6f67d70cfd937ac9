"""edge-report: what the latency logs of edge-live say."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge.command import new_parser, run_command
from edge.files import replacing
from edge.latency import describe
from edge.latency.compare import compare
from edge.latency.log_lines import LogError
from edge.latency.read import LatencyLog, is_log, read_runs
from edge.latency.render_text import render_comparison, render_text
from edge.latency.report_json import comparison_to_json, to_json
from edge.latency.summary import Summary, summarize

NAME = "edge-report"
EXAMPLES = """\
  edge-report run.jsonl                       the figures, on the terminal
  edge-report run.jsonl --last                of several runs in it the last
  edge-report run.jsonl --html report.html    and as one file with plots, to show around
  edge-report run.jsonl* --png report.png     a rotated log with all its parts; plots as PNG
  edge-report --compare two-threads.jsonl four-threads.jsonl
  edge-report run.jsonl --json | jq .stages.inference.p99
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns: its exit status."""
    return run_command(NAME, _report, argv)


def _report(argv: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.compare:
        if options.logs or options.html or options.png:
            parser.error("--compare takes two logs, and goes with --json and --last alone")
        return _compare(*options.compare, last=options.last, as_json=options.json)
    if not options.logs:
        parser.error("give at least one LOG, or --compare A B")
    _spare_logs(path for path in (options.html, options.png) if path)
    summary = _summarize(options.logs, last=options.last)
    if options.html:
        # Plots are imported where they are asked for: they need the extra `report`.
        from edge.latency.render_html import render_html

        # The file is opened first: a place that cannot be written is known before the work.
        with replacing(options.html) as temporary:
            temporary.write_text(render_html(summary), encoding="utf-8")
    if options.png:
        from edge.latency.plots import write_png

        heading = f"{describe.title(summary)} · {describe.setting(summary)}"
        with replacing(options.png) as temporary:
            write_png(summary, heading, temporary)
    if options.json:
        _print_json(to_json(summary))
    else:
        print(render_text(summary), end="")
    for path in (options.html, options.png):
        if path:
            print(f"written: {path}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(
        NAME,
        "Say what latency logs hold: percentiles of each stage, frame rate, skipped frames. "
        "Several logs merge without loss.",
        EXAMPLES,
    )
    parser.add_argument(
        "logs", metavar="LOG", nargs="*", type=Path, help="a log of edge-live --log"
    )
    parser.add_argument(
        "--last", action="store_true", help="of all runs in the logs, the one that began last"
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the report as one page")
    parser.add_argument("--png", metavar="FILE", type=Path, help="write the plots as one picture")
    parser.add_argument("--json", action="store_true", help="print figures for machines, in ns")
    parser.add_argument(
        "--compare",
        metavar=("A", "B"),
        nargs=2,
        type=Path,
        help="hold log B against log A: medians, p99, and their ratios",
    )
    return parser


def _spare_logs(outputs: Iterable[Path]) -> None:
    """Raise LogError for an output that is a log: `--html *.jsonl` names the first of them."""
    for path in outputs:
        if is_log(path):
            raise LogError(f"{path} is a latency log, and no report may replace it; name another")


def _compare(a: Path, b: Path, *, last: bool, as_json: bool) -> int:
    comparison = compare(_summarize([a], last=last), _summarize([b], last=last))
    if as_json:
        _print_json(comparison_to_json(comparison))
    else:
        print(render_comparison(comparison), end="")
    return 0


def _summarize(paths: Sequence[Path], *, last: bool) -> Summary:
    logs = [log for n, path in enumerate(paths, 1) for log in _read(path, f"{n} of {len(paths)}")]
    if last:
        # All parts of the run that began last: a rotated log has them in several files.
        header = max(logs, key=lambda log: (log.run.started, log.run.started_ns)).run
        logs = [log for log in logs if log.run == header]
    return summarize(logs)


def _read(path: Path, progress: str) -> list[LatencyLog]:
    if not sys.stderr.isatty():
        return read_runs(path)
    # A full log of 16 MiB takes some seconds; the line is wiped when it is read.
    print(f"reading {path.name} ({progress}) ...", end="", file=sys.stderr, flush=True)
    try:
        return read_runs(path)
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _print_json(data: object) -> None:
    print(json.dumps(data, indent=2))
