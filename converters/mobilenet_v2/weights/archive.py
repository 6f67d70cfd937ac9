"""Zip files from anywhere: what they claim is checked before anything is unpacked."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from converters.mobilenet_v2.weights.contents import WeightFileError, check_total, shown
from edge.backends.base import brief

BROKEN = (
    OSError,
    ValueError,
    EOFError,
    KeyError,  # zipfile: no such member
    RuntimeError,  # zipfile: encrypted
    NotImplementedError,  # zipfile: a compression that this Python lacks
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    MemoryError,
)


@contextmanager
def opened(path: Path, format_name: str) -> Iterator[zipfile.ZipFile]:
    """Yield the archive, of which all members together unpack to no more than is allowed.

    Raises: WeightFileError: it is broken, here or while it is read in the block, or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_total(path, (member.file_size for member in archive.infolist()))
            counts = Counter(archive.namelist())
            twice = [name for name, count in counts.items() if count > 1]
            if twice:
                raise WeightFileError(f"{path}: holds {shown(min(twice))} twice")
            yield archive
    except BROKEN as cause:
        raise WeightFileError(
            f"{path}: a broken {format_name} file ({brief(cause)}); save or download it again"
        ) from cause
