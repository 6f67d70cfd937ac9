"""How a stage shows how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Passes `items` through, in order, and may show how many of `total` are done."""

    def __call__(self, items: Iterable[T], total: int, what: str) -> Iterable[T]: ...


def silent(items: Iterable[T], total: int, what: str) -> Iterable[T]:  # noqa: ARG001
    """Show nothing."""
    return items


def bar(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """Show a bar on stderr where that is a terminal and the work takes over two seconds.

    On a board without tqdm (extra `convert`) there is none: the work is the same.
    """
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        return items

    shown: Iterable[T] = tqdm(items, what, total, leave=False, disable=None, delay=2, unit="img")
    return shown
