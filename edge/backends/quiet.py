"""Keep a runtime's chatter off stderr, and let through what is not chatter."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
CHATTER = b"INFO:"


@contextmanager
def without_info() -> Iterator[None]:
    """Hold back what is written to the process's stderr inside, then write it without INFO lines.

    LiteRT's C++ code announces its delegate there on every opening and has no setting for it.
    For the moments of opening a model only: other threads' lines wait as well.
    """
    try:
        kept = os.dup(STDERR)
    except OSError:  # stderr is closed: there is nothing to keep clean
        yield
        return
    _flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STDERR)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, STDERR)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not line.startswith(CHATTER):
                    os.write(STDERR, line)


def _flush() -> None:
    if sys.stderr is not None:  # as Python has it where stderr was closed when it began
        sys.stderr.flush()
