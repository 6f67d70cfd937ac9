"""Text that came from a file or a runtime, made fit for a terminal, and tables there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from unicodedata import east_asian_width


def printable(text: str) -> str:
    """Return `text` with a replacement character for what is not printable.

    A terminal obeys control characters, and what a file's name holds of bytes that are no UTF-8
    cannot be written at all.
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def warn(text: str) -> None:
    """Say on stderr what is wrong while work goes on, below a line that is written in place."""
    start = "\n" if sys.stdout.isatty() else ""
    print(f"{start}warning: {printable(text)}", file=sys.stderr, flush=True)


def cut(text: str, columns: int) -> str:
    """Return the beginning of a printable `text` that fits into `columns` of a terminal.

    Chinese, Japanese and Korean characters take two (Unicode Standard Annex 11).
    """
    used = 0
    for place, character in enumerate(text):
        used += 2 if east_asian_width(character) in "FW" else 1
        if used > columns:
            return text[:place]
    return text


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]
