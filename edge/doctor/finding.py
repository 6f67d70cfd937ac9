"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a finding stands, worst first."""

    FAIL = "fail"  # stops the loop
    WARN = "warn"  # slows it, or will bring it down in time
    UNKNOWN = "unknown"  # could not be found out
    OK = "ok"
    SKIP = "skip"  # does not apply to this machine


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, what it means for the loop, and what mends it.

    `mend` is one shell line to copy: it mends what was found or, where only hands can, shows
    whether they did. "" where there is neither.
    """

    state: State
    found: str
    meaning: str = ""
    mend: str = ""


def ok(found: str, meaning: str = "") -> Finding:
    return Finding(State.OK, found, meaning)


def warn(found: str, meaning: str, mend: str = "") -> Finding:
    return Finding(State.WARN, found, meaning, mend)


def fail(found: str, meaning: str, mend: str = "") -> Finding:
    return Finding(State.FAIL, found, meaning, mend)


def unknown(found: str, meaning: str = "", mend: str = "") -> Finding:
    return Finding(State.UNKNOWN, found, meaning, mend)


def skip(found: str) -> Finding:
    return Finding(State.SKIP, found)
