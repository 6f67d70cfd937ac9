"""What is wrong with a calibration set, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

# An "error" makes the artifact, or a figure of its report, wrong; a "warning" makes the ranges
# less good than the pictures' number promises.
Severity = Literal["error", "warning"]
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    `code`: the check's name; `sentence`: the fault with its evidence; `change`: the flag, or what
    else, to change.
    """

    code: str
    severity: Severity
    sentence: str
    change: str

    def __str__(self) -> str:
        return f"{self.sentence} ({self.code}); change {self.change}"


@dataclass(frozen=True, slots=True)
class Lint:
    """The faults that were found, and the codes of the checks that found none.

    A check that the set gives no evidence for (no BatchNormalization, no evaluation set, too few
    pictures) is in neither.
    """

    findings: tuple[Finding, ...]
    passed: tuple[str, ...]

    def after(self, code: str, found: Finding | None) -> Lint:
        """Return this with one more check made, which found that, or nothing."""
        if found is None:
            return replace(self, passed=(*self.passed, code))
        return replace(self, findings=(*self.findings, found))


def some(names: Sequence[str]) -> str:
    """Return the first few of `names`, as a sentence quotes them."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
