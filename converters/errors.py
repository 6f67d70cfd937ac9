"""The converters' errors: one family, rooted in `EdgeError`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import EdgeError
from edge.text import cut, printable

# A name of a megabyte, or ten thousand nodes of one kind, say no more than these.
MAX_CHARACTERS = 2000
MAX_NAME = 200
MAX_REFUSALS = 100


class ConvertError(EdgeError):
    """A model cannot be read, converted or written. It names things as the file does, made fit."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n  - ".join(_shown(line) for line in lines))


def _shown(line: str) -> str:
    """Return a line as a terminal can show it: of a long one its two ends."""
    text, half = printable(line), MAX_CHARACTERS // 2
    return text if len(text) <= MAX_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


class GraphError(ConvertError):
    """A Graph contradicts itself: a bug in a pass, or a model that no exporter writes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one node of the source has no place in the artifacts."""

    node: str
    op_type: str
    reason: str

    def __str__(self) -> str:
        node, op_type = (cut(printable(name), MAX_NAME) for name in (self.node, self.op_type))
        return f"{node} ({op_type}): {self.reason}"


class UnsupportedModelError(ConvertError):
    """Every refusal of a model at once, so that an exporter is mended once."""

    def __init__(self, where: str, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        lines = [str(refusal) for refusal in refusals[:MAX_REFUSALS]]
        if len(refusals) > MAX_REFUSALS:
            lines.append(f"and {len(refusals) - MAX_REFUSALS} more")
        count = f"{len(refusals)} node{'s' if len(refusals) > 1 else ''}"
        super().__init__(f"{where}: {count} cannot be converted:", *lines)
