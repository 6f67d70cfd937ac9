"""A file that grows by whole lines: what cannot be written leaves it as it was."""

from __future__ import annotations

import fcntl
import io
import os
from contextlib import suppress
from pathlib import Path


class LogFile:
    """One file of a log, which no other process writes.

    `size_bytes` is what it holds. Raises (every method): OSError: the disk is full, or gone.
    """

    def __init__(self, path: Path, *, is_continued: bool = False) -> None:
        """Open `path` behind what is there, or else anew.

        Raises: BlockingIOError: another process writes it.
        """
        self._file = io.FileIO(path, "r+" if is_continued else "w")
        self._is_torn = False  # whether part of a line could not be taken back
        try:
            self._lock()
            self.size_bytes = self._file.seek(0, os.SEEK_END)
        except OSError:
            self._file.close()
            raise

    @property
    def is_deleted(self) -> bool:
        """Whether nobody will find it: someone has deleted it under our hands."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def write(self, data: bytes) -> None:
        """Write all of `data`, or leave the file as it was and raise OSError."""
        if self._is_torn:
            self._take_back()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._is_torn = True
            with suppress(OSError):  # tried again before the next line
                self._take_back()
            raise
        self.size_bytes += len(data)

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _take_back(self) -> None:
        self._file.truncate(self.size_bytes)
        self._file.seek(self.size_bytes)
        self._is_torn = False

    def _lock(self) -> None:
        # Until it is closed, or the process ends. Some network file systems have no locks: there,
        # two loops that write one log are for their owner to avoid.
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return


def continued(path: Path, begin: bytes) -> LogFile | None:
    """Open a log to write behind it: one that begins with `begin`, and that nobody else writes.

    Returns: None: there is none.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(len(begin)) != begin:
            return None
    try:
        return LogFile(path, is_continued=True)
    except BlockingIOError:
        return None


def joint(path: Path) -> bytes:
    """Return what must stand before the next line of a file that is not empty.

    One that was cut off, by a loss of power perhaps, ends within a line.
    """
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"
