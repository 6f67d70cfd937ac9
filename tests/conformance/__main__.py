"""How onnx's own operator tests go: passed, refused with a reason, failed.

    python -m tests.conformance            the table
    python -m tests.conformance --write    and into docs/conformance.md, which a test compares

Exits with 1 where a case fails.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.record import table
from tests.conformance.cases import NO_FLOAT, NO_TENSOR, Outcome, cases, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
RESULTS = ("passed", "refused", "failed")
BESIDE = (NO_FLOAT, NO_TENSOR)

HEAD = """\
# ONNX's own operator tests

The `onnx` package tests each operator by nodes with inputs and the outputs that they must give.
Here each goes through the importer, the passes and the float TFLite writer, and LiteRT computes it
(`make conformance`). As many inputs as can be are left open; the others are constants, as weights,
shapes and axes are in a network. A case is *refused* where `edge-convert` says that it cannot
convert the node, and why. None may fail.
"""


def document(outcomes: list[Outcome]) -> str:
    """Return the tables of docs/conformance.md."""
    ours = [outcome for outcome in outcomes if outcome.reason not in BESIDE]
    counts = {result: sum(o.result == result for o in ours) for result in RESULTS}
    said = ", ".join(f"{count} {result}" for result, count in counts.items())
    beside = len(outcomes) - len(ours)
    return "\n".join(
        (
            HEAD,
            f"**{said}**; {beside} more have no float32 tensor among their inputs.",
            "",
            _by_operator(ours),
            "",
            "## What is refused",
            "",
            _by_reason(ours),
            "",
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} as well")
    options = parser.parse_args()
    outcomes = [run(case) for case in cases()]
    text = document(outcomes)
    print(text)
    if options.write:
        DOCUMENT.write_text(text)
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    for outcome in failed:
        print(f"FAILED {outcome.name}: {outcome.reason}", file=sys.stderr)
    return 1 if failed else 0


def _by_operator(outcomes: list[Outcome]) -> str:
    names = sorted({outcome.op_type for outcome in outcomes})
    rows = [
        (name, *(str(sum((o.op_type, o.result) == (name, r) for o in outcomes)) for r in RESULTS))
        for name in names
    ]
    return table(("operator", *RESULTS), rows)


def _by_reason(outcomes: list[Outcome]) -> str:
    found: dict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.result == "refused":
            found[outcome.reason].append(outcome.name.removeprefix("test_"))
    return "\n".join(
        f"- {reason}: {', '.join(f'`{name}`' for name in sorted(names))}"
        for reason, names in sorted(found.items())
    )


if __name__ == "__main__":
    sys.exit(main())
