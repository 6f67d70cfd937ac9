"""The findings on a terminal, and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

from edge.device import describe_board, describe_versions
from edge.doctor.finding import Finding, State
from edge.doctor.machine import Machine
from edge.text import printable

COLUMNS = 100
_ORDER = list(State)


def worst_first(findings: Mapping[str, Finding]) -> list[tuple[str, Finding]]:
    """Return the findings by state, and within one in the order of the checks."""
    return sorted(findings.items(), key=lambda item: _ORDER.index(item[1].state))


def render_text(machine: Machine, findings: Mapping[str, Finding]) -> str:
    """Return the report: lines of at most 100 columns, but for commands, which are to be copied."""
    board = describe_board(machine.root)
    title = [board.get(fact, "") for fact in ("model", "cpu", "machine", "kernel")]
    lines = [printable(", ".join(part for part in title if part)), ""]
    width = max(len(subject) for subject in findings if not subject.startswith("model "))
    skipped: dict[str, list[str]] = {}
    for subject, finding in worst_first(findings):
        if finding.state is State.SKIP:
            skipped.setdefault(finding.found, []).append(subject)
        else:
            lines += _block(finding, printable(subject), width)
    for why, subjects in skipped.items():
        lines += _wrapped(f"{why}: {', '.join(subjects)}", f"{State.SKIP:<8}", " " * 8)
    counts = Counter(finding.state for finding in findings.values())
    lines += ["", _verdict(counts)]
    return "\n".join(lines) + "\n"


def _block(finding: Finding, subject: str, width: int) -> list[str]:
    head = f"{finding.state:<8}{subject:<{width}}  "
    indent = " " * (8 + width + 2)
    if len(head) > len(indent):  # a model's path has a line of its own
        lines = [head.rstrip(), *_wrapped(finding.found, indent, indent)]
    else:
        lines = _wrapped(finding.found, head, indent)
    if finding.state is State.OK:
        return lines
    if finding.meaning:
        lines += _wrapped(finding.meaning, indent, indent)
    if finding.mend:
        lines.append(f"{indent}$ {printable(finding.mend)}")
    return lines


def _wrapped(text: str, first: str, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        COLUMNS,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict(counts: Counter[State]) -> str:
    stops, slows = counts[State.FAIL], counts[State.WARN]
    return (
        f"{stops or 'nothing'} {'stops' if stops <= 1 else 'stop'} the loop, "
        f"{slows or 'nothing'} {'slows it or may' if slows <= 1 else 'slow it or may'} trouble it, "
        f"{counts[State.UNKNOWN]} could not be found out"
    )


def to_json(machine: Machine, findings: Mapping[str, Finding]) -> dict[str, object]:
    """Return the report for machines; `stops` is how many findings stop the loop."""
    return {
        "board": describe_board(machine.root),
        "versions": describe_versions(),
        "stops": sum(finding.state is State.FAIL for finding in findings.values()),
        "findings": [
            {"subject": subject, **asdict(finding)} for subject, finding in worst_first(findings)
        ],
    }
