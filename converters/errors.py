"""The converters' errors: one family, rooted in `EdgeError`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import EdgeError


class ConvertError(EdgeError):
    """A model cannot be read, converted or written."""


class GraphError(ConvertError):
    """A Graph contradicts itself: a bug in a pass, or a model that no exporter writes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one node of the source has no place in the artifacts."""

    node: str
    op_type: str
    reason: str

    def __str__(self) -> str:
        return f"{self.node} ({self.op_type}): {self.reason}"


class UnsupportedModelError(ConvertError):
    """Every refusal of a model at once, so that an exporter is mended once."""

    def __init__(self, where: str, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        lines = "".join(f"\n  - {refusal}" for refusal in refusals)
        count = f"{len(refusals)} node{'s' if len(refusals) > 1 else ''}"
        super().__init__(f"{where}: {count} cannot be converted:{lines}")
