"""A small file that remembers what was measured, so that only the first start takes the time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.files import write_text

FORMAT = 1
MAX_BYTES = 1 << 16
# The oldest is forgotten first.
MAX_CHOICES = 32


class MemoryFileError(EdgeError):
    """What is remembered cannot be read, or nothing can be remembered."""


def memory_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return where this service, or this user, keeps what can be found out again.

    That is the service manager's folder (CacheDirectory= in the unit, see systemd.exec(5)), else
    the one of the XDG base directories; None where there is not even a home.
    """
    given = Path(environ.get("CACHE_DIRECTORY", "").partition(":")[0])
    if given.is_absolute():
        return given / "choices.json"
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path(environ.get("HOME", "")) / ".cache"
    return base / "edge-deploy" / "choices.json" if base.is_absolute() else None


def recall(path: Path, key: str) -> Mapping[str, Any] | None:
    """Return what `remember` wrote under `key`, None where there is nothing.

    What it says is not checked: the file may be anyone's.
    Raises: MemoryFileError: the file is no such file, or cannot be read.
    """
    entry = _read(path).get(key)
    return entry if isinstance(entry, dict) else None


def remember(path: Path, key: str, entry: Mapping[str, Any]) -> None:
    """Write `entry` under `key`, beside the newest others. A file that cannot be read is replaced.

    Raises: MemoryFileError: it cannot be written.
    """
    try:
        choices = _read(path)
    except MemoryFileError:
        choices = {}
    choices.pop(key, None)
    kept = list(choices.items())[-(MAX_CHOICES - 1) :]
    text = json.dumps({"format": FORMAT, "choices": dict([*kept, (key, entry)])}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text + "\n")
    except OSError as cause:
        raise MemoryFileError(f"{path} cannot be written ({cause.strerror})") from cause


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.exists():
            return {}
        if not path.is_file():  # a pipe would never end
            raise ValueError("no ordinary file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        content = json.loads(data)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("not of this version")
        choices = content["choices"]
        if not isinstance(choices, dict):
            raise TypeError("choices is no object")
    except OSError as cause:
        raise MemoryFileError(f"{path} cannot be read ({cause.strerror})") from cause
    except (KeyError, TypeError, ValueError, RecursionError) as cause:
        raise MemoryFileError(f"{path} cannot be used ({str(cause)[:80]})") from cause
    return choices
