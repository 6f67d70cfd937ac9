"""What every command does alike: its version, its errors, its exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import edge
from edge.errors import EdgeError

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def new_parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Return a parser with `--version`, and `examples` (shell lines) at the end of its help."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{name} {edge.__version__}")
    return parser


def run_command(
    name: str, command: Callable[[Sequence[str]], int], argv: Sequence[str] | None
) -> int:
    """Run `command(argv)` and return the process's exit status.

    An `EdgeError`, and whatever the operating system refuses (a full disk, a missing
    permission), becomes one sentence on stderr; anything else is a bug and keeps its traceback.
    """
    _open_closed_streams()
    try:
        status = command(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except EdgeError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing is wrong, nothing is left to say.
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name}: error: {where}{error.strerror or error}", file=sys.stderr)
        return EdgeError.exit_status
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    else:
        return status
    finally:
        _drop_what_cannot_be_written()


def within(kind: type[int | float], lowest: float, highest: float) -> Callable[[str], float]:
    """Return how to read an argument that is a number from `lowest` to `highest`."""

    def parse(text: str) -> float:
        number = kind(text)
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(f"{text}; allowed: {lowest:,} to {highest:,}")
        return number

    parse.__name__ = kind.__name__  # argparse names it where `text` is no number
    return parse


def _open_closed_streams() -> None:
    """Lead a stream that the shell has closed (`2>&-`), which Python gives as None, to nowhere.

    Whatever file is opened next would else get its number, and the runtimes' messages with it.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - it stays open


def _drop_what_cannot_be_written() -> None:
    """Give up what stdout still holds where it cannot be written (the reader is gone, disk full).

    At its very end the interpreter would try once more, complain, and exit with 120.
    """
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
