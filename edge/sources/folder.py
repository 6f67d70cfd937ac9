"""A folder of pictures, or one picture, as frames: every picture once, in the order of names."""

from __future__ import annotations

import time
from pathlib import Path

from edge.sources.base import Frame, LastingError, SourceError, Timestamps
from edge.sources.decode import decode
from edge.tensors import U8

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MAX_FILE_BYTES = 64 << 20


def read_image(path: Path) -> U8 | None:
    """Return a picture as uint8 [H, W, 3] in B, G, R order, or None where it is broken.

    Broken is: no picture, cut off, more than 64 MiB, or more pixels than `edge` lets OpenCV
    decode. Raises: OSError: the file cannot be read.
    """
    if not path.is_file() or not 0 < path.stat().st_size <= MAX_FILE_BYTES:
        return None
    return decode(path.read_bytes())


class FolderSource:
    """Gives the pictures of one folder (not of folders inside it), or the one picture named.

    Broken pictures are passed over and counted. `Frame.name` is the file's name.
    """

    is_live = False
    timestamps: Timestamps = "arrival"

    def __init__(self, path: Path) -> None:
        """Raises: SourceError: the folder cannot be read or has no picture."""
        self.name = str(path)
        self.broken_count = 0
        self._given = 0
        self._closed = False
        try:
            files = list(path.iterdir()) if path.is_dir() else [path]
        except OSError as cause:
            raise SourceError(f"{path}: the folder cannot be read ({cause.strerror})") from cause
        self._files = sorted(file for file in files if file.suffix.lower() in SUFFIXES)
        if not self._files:
            raise SourceError(
                f"{path}: no pictures; allowed: files ending in {', '.join(sorted(SUFFIXES))}"
            )
        self._waiting = iter(self._files)

    def read(self) -> Frame | None:
        """Return the next picture that is whole, or None after the last.

        Raises: LastingError: not one of them could be read.
        """
        for path in self._waiting:
            if self._closed:
                return None
            try:
                pixels = read_image(path)
            except OSError:
                pixels = None
            if pixels is None:
                self.broken_count += 1
                continue
            now_ns = time.monotonic_ns()
            frame = Frame(pixels, "bgr", self._given, now_ns, now_ns, path.name)
            self._given += 1
            return frame
        if not self._given:
            raise LastingError(
                f"{self.name}: none of the {self.broken_count} pictures can be read; "
                "they are empty, cut off, too large or of another format"
            )
        return None

    def close(self) -> None:
        self._closed = True
