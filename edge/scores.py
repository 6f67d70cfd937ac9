"""Which of a model's outputs holds the classes' scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from edge.card import MAX_LABELS
from edge.errors import EdgeError
from edge.text import cut, printable

# An output: its name and its shape.
Output: TypeAlias = tuple[str, Sequence[int]]
MAX_LISTED_CHARS = 1000


class ScoresError(EdgeError):
    """No output can be taken for the classes' scores, or more than one can."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def is_vector(shape: Sequence[int]) -> bool:
    """Whether a shape is one number a class: [1, classes], [classes] or [1, 1, 1, classes]."""
    return bool(shape) and 1 <= min(shape) <= max(shape) == math.prod(shape) <= MAX_LABELS


def find_scores(
    outputs: Sequence[Output],
    named: str,
    where: str,
    fits: Callable[[Sequence[int]], bool] = is_vector,
) -> list[int]:
    """Return the places of the outputs that may be the scores, or that of the one that is `named`.

    Args: outputs: in the file's order; named: by the user or the model's card, "" where nobody
        says; where: the file, for messages; fits: whether a shape is one number a class.
    Raises: ScoresError: none is called so, or none has such a shape.
    """
    chosen = [place for place, (name, _) in enumerate(outputs) if name == named or not named]
    if not chosen:
        raise ScoresError(f"{where}: has no output {named!r}; its outputs: {listed(outputs)}")
    found = [place for place in chosen if fits(outputs[place][1])]
    if not found:
        which = f"output {named!r} is not" if named else "no output is"
        raise ScoresError(
            f"{where}: {which} one number a class, [1, classes]; its outputs: {listed(outputs)}"
        )
    return found


def the_scores(outputs: Sequence[Output], named: str, where: str) -> int:
    """Return the place of the one output that may be the scores, as `find_scores` finds it.

    Raises: ScoresError: there is none, or there are more.
    """
    found = find_scores(outputs, named, where)
    if len(found) > 1:
        which = listed([outputs[place] for place in found])
        raise ScoresError(
            f"{where}: any of several outputs may be the classes' scores: {which}; name one with "
            "--scores"
        )
    return found[0]


def listed(outputs: Sequence[Output]) -> str:
    """Return the outputs in words, with their shapes."""
    return cut(", ".join(f"{name!r} {list(shape)}" for name, shape in outputs), MAX_LISTED_CHARS)
