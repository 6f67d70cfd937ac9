"""How onnx's own operator tests go in float and in int8: passed, refused with a reason, failed.

    python -m tests.conformance            the tables
    python -m tests.conformance --write    and into docs/conformance.md, which a test compares

Exits with 1 where a case fails, or a handler is held by no test.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.record import table
from tests.conformance.cases import NO_FLOAT, NO_TENSOR, Outcome, cases, run
from tests.conformance.int8 import run_int8
from tests.conformance.int8_files import FORMATS
from tests.conformance.reached import ELSEWHERE, unreached

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
FLOAT = "float TFLite"
RESULTS = ("passed", "refused", "failed")
BESIDE = (NO_FLOAT, NO_TENSOR)
Results = Mapping[str, Sequence[Outcome]]  # by format, each in the order of the cases

HEAD = """\
# ONNX's own operator tests

The `onnx` package tests each operator by nodes with inputs and the outputs that they must give.
Here each goes through the importer, the passes, the quantizer and both writers (`make
conformance`). As many inputs as can be are left open; the others are constants, as weights, shapes
and axes are in a network. A case is *refused* where `edge-convert` says that it cannot convert the
node, and why. None may fail.

**Float.** LiteRT computes the float TFLite file, and its outputs are the expected ones within the
case's own tolerance.

**int8.** Each case that passes in float is calibrated on its own inputs; LiteRT computes the int8
TFLite file, and ONNX Runtime (with exact kernels) the int8 ONNX file, with activations stored as
uint8 and as int8. No int8 output is the expected one to float32's last digits, so each rounding on
the way to it is held by itself:

1. The Graph, whose values calibrate it, gives the expected output within the case's own tolerance.
   It does so again on the inputs as their integers hold them, for which onnx's reference evaluator
   says what is expected.
2. Every input, weight, bias and constant, as its integers hold it, is within half a step of itself.
3. Every value of the Graph on the case's own inputs lies within what its integers reach, to half a
   step; to one step where TFLite's kernels demand a scale (a Softmax ends at 255/256), and a
   LogSoftmax ends at -15.9.
4. Every value in a file, those between operators included, is what its operator computes in float32
   of the very integers that it was given, to half a step and 2^-9 of one for a kernel's own
   arithmetic. Where an operator only moves integers, they are equal. LiteRT's kernels with fewer
   bits may be further off, by what those bits are: a change of scale (Clamp, LeakyRelu,
   Requantize) by another half step, a MatMul by its factor, a linear Resize by 2^-4, a HardSwish by
   2^-6; `tests/converters/int8` has the causes.

So an int8 output is the expected one but for these roundings, each of which was seen. (A bound on
the output alone would have to grow with the operators before it, and would hide a wrong one.) Tests
damage files, kernels, weights and ranges, and see that each is reported; one step off fails in
every operator.
"""


def evaluate() -> dict[str, list[Outcome]]:
    """Return how every case goes, by format."""
    results: dict[str, list[Outcome]] = {name: [] for name in (FLOAT, *FORMATS)}
    for case in cases():
        outcome = run(case)
        for name, found in {FLOAT: outcome, **run_int8(outcome)}.items():
            results[name].append(found)
    return results


def document(results: Results) -> str:
    """Return docs/conformance.md."""
    ours = {
        name: [outcome for outcome in outcomes if outcome.reason not in BESIDE]
        for name, outcomes in results.items()
    }
    beside = len(results[FLOAT]) - len(ours[FLOAT])
    return "\n".join(
        (
            HEAD,
            _totals(ours),
            "",
            f"{beside} more cases have no float32 tensor among their inputs.",
            "",
            "## By operator",
            "",
            _by_operator(ours),
            "",
            "## What is refused",
            "",
            _by_reason(ours[FLOAT]),
            "",
            "## What is refused in int8 alone",
            "",
            _in_int8_alone(ours) or "Nothing.",
            "",
            "## What no case reaches",
            "",
            "Of all handlers, reading ONNX and writing either file; another test holds each.",
            "",
            *(f"- {side}, {op}: `{test}`" for (side, op), test in sorted(ELSEWHERE.items())),
            "",
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} as well")
    options = parser.parse_args()
    results = evaluate()
    text = document(results)
    print(text)
    if options.write:
        DOCUMENT.write_text(text)
    failed = [
        f"{outcome.name}, {name}: {outcome.reason}"
        for name, outcomes in results.items()
        for outcome, in_float in zip(outcomes, results[FLOAT], strict=True)
        # What fails in float is not tried in int8, and is said once.
        if outcome.result == "failed" and (name == FLOAT or outcome is not in_float)
    ]
    failed += [f"no test of {op}, {side}" for side, op in unreached(results) - ELSEWHERE.keys()]
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if failed else 0


def _totals(results: Results) -> str:
    rows = [
        (name, *(str(sum(o.result == result for o in outcomes)) for result in RESULTS))
        for name, outcomes in results.items()
    ]
    return table(("file", *RESULTS), rows)


def _by_operator(results: Results) -> str:
    """Return for each operator how many cases pass in each file, or do not in one or more."""
    found: dict[str, list[tuple[Outcome, ...]]] = defaultdict(list)
    for outcomes in zip(*results.values(), strict=True):
        found[outcomes[0].op_type].append(outcomes)
    rows = []
    for op_type, of in sorted(found.items()):
        passed = [sum(o.result == "passed" for o in column) for column in zip(*of, strict=True)]
        others = [sum(any(o.result == r for o in case) for case in of) for r in RESULTS[1:]]
        rows.append((op_type, *map(str, (*passed, *others))))
    return table(("operator", *results, *RESULTS[1:]), rows)


def _in_int8_alone(results: Results) -> str:
    refused = {outcome.name for outcome in results[FLOAT] if outcome.result == "refused"}
    alone = {
        name: _by_reason([outcome for outcome in results[name] if outcome.name not in refused])
        for name in FORMATS
    }
    return "\n\n".join(f"{name}:\n\n{reasons}" for name, reasons in alone.items() if reasons)


def _by_reason(outcomes: Sequence[Outcome]) -> str:
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
