"""What is done to pieces of work, and who does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from calibration.errors import CalibrationError

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Waiting = TypeVar("Waiting")
Piece_contra = TypeVar("Piece_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class SpreadError(CalibrationError):
    """Those who were to do the work cannot be had, died, or are not like us."""


class Runner(Protocol[Piece_contra, Result_co]):
    """A task that was opened: it has its models, and belongs to one thread."""

    def run(self, piece: Piece_contra, /) -> Result_co:
        """Raises: EdgeError: of this piece, with what is wrong; OSError."""

    def close(self) -> None: ...


class Task(Protocol[Piece_contra, Result_co]):
    """What is done to every piece. Pickled with all that it needs, and opened where it is run.

    Pieces and results are pickled too. Paths in either are absolute, or of no other machine's
    concern.
    """

    def open(self) -> Runner[Piece_contra, Result_co]:
        """Raises: EdgeError: a model cannot be opened, or is another one there."""

    def files(self, piece: Piece_contra, /) -> Sequence[Path]:
        """Return the files that are read for a piece, by absolute paths."""


class Spread(Protocol):
    """Who does the work."""

    def map(self, task: Task[Piece, Result], pieces: Iterable[Piece]) -> Iterator[Result]:
        """Yield what `task` makes of each piece, in their order, while the next are under way.

        No more pieces are taken than are under way, and no more results wait: memory does not
        grow with their number.
        Raises: EdgeError: of the first piece that has one, or SpreadError; OSError.
        """


def in_order(
    begin: Callable[[Piece], Waiting],
    end: Callable[[Waiting], Result],
    pieces: Iterable[Piece],
    ahead: Callable[[], int],
) -> Iterator[Result]:
    """Yield `end(begin(piece))` of each, in order, with `ahead()` of them begun and not ended."""
    waiting: deque[Waiting] = deque()
    for piece in pieces:
        waiting.append(begin(piece))
        while len(waiting) > ahead():
            yield end(waiting.popleft())
    while waiting:
        yield end(waiting.popleft())
