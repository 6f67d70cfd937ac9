"""One piece after another, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calibration.spread.task import Piece, Result, Task


@dataclass(frozen=True, slots=True)
class Here:
    """Does the work itself."""

    def map(self, task: Task[Piece, Result], pieces: Iterable[Piece]) -> Iterator[Result]:
        """As `Spread.map`."""
        runner = task.open()
        try:
            yield from map(runner.run, pieces)
        finally:
            runner.close()
