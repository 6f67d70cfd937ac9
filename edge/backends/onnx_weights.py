"""Weights of an ONNX model that lie in files of their own.

ONNX Runtime maps such a file, and whoever writes into it or cuts it off ends the process with
SIGBUS, or changes the model in the middle of a run. Read beforehand, they are what they were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

# The name of such a file stands in the model as protobuf writes it: field 1 of a
# StringStringEntryProto is "location", field 2 the name, behind its length in one byte or two.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])")
# Larger ones stay mapped: a board would not have the memory for two of it, as opening needs.
MAX_BYTES = 1 << 30


def weight_files(model: bytes, folder: Path) -> dict[str, bytes]:
    """Return what lies in the files that `model` names, by the names that it has for them.

    One that is not below `folder`, cannot be read, or makes them more than 1 GiB in all is left to
    the runtime, which opens it or says why it cannot.
    """
    found: dict[str, bytes] = {}
    left_bytes = MAX_BYTES
    for name in sorted(_names(model)):
        path = folder / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            continue
        try:
            if not path.is_file() or path.stat().st_size > left_bytes:
                continue
            found[name] = path.read_bytes()
        except (OSError, ValueError):  # ValueError: a NUL in the name
            continue
        left_bytes -= len(found[name])
    return found


def _names(model: bytes) -> set[str]:
    names = set()
    for match in _LOCATION.finditer(model):
        low, *high = match[1]
        length = low & 0x7F | (high[0] << 7 if high else 0)
        name = model[match.end() : match.end() + length]
        names.add(name.decode("utf-8", "replace"))
    return names


def give(options: Any, files: Mapping[str, bytes]) -> None:  # noqa: ANN401 - the runtime has no types
    """Let a session with these options take its weights from `files`, where the runtime can.

    They must live until the session is made, which copies what it needs.
    """
    take = getattr(options, "add_external_initializers_from_files_in_memory", None)
    if files and take is not None:
        take(list(files), list(files.values()), [len(data) for data in files.values()])
