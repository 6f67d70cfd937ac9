"""Text that came from a file or a runtime, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return `text` with a replacement character for what is not printable.

    A terminal obeys control characters, and what a file's name holds of bytes that are no UTF-8
    cannot be written at all.
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
