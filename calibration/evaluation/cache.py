"""Scores on the disk, a file for each chunk of images: what was interrupted goes on from there.

A file's name is the digest of all that its scores depend on, so that nothing of another model,
preprocessing or image is ever taken for them. Files are .npz: their content has a checksum, and
reading one runs no code.
"""

from __future__ import annotations

import hashlib
import json
import platform
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.evaluation.subjects import Subject
from edge.files import replacing
from edge.tensors import F32

FORMAT = 1


class ScoreCache:
    """The scores of one model. Processes may share the folder: files are written whole."""

    def __init__(self, folder: Path, subject: Subject) -> None:
        """Make the folder, where it is not there. Raises: OSError: it cannot be made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._classes = subject.classes
        self._identity = {
            "format": FORMAT,
            "model": _files_of(Path(subject.path), subject.sha256),
            "scores": subject.scores,
            "runtime": subject.runtime,
            "kernels": subject.kernels,
            "machine": platform.machine(),
            "preprocess": subject.preprocess.to_json(),
        }

    def key(self, root: Path, names: Sequence[str]) -> str:
        """Return the digest for these images, each known by its name, size and time of change."""
        images = [(name, *_stamp(root / name)) for name in names]
        identity = json.dumps({**self._identity, "images": images}, sort_keys=True)
        return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()

    def load(self, key: str, count: int) -> tuple[F32 | None, str]:
        """Return the scores, float32 [count, classes], and what is wrong with the file.

        None, and nothing wrong, where there is no such file. NaN where an image was broken.
        """
        path = self._path(key)
        try:
            # NumPy leaves a file open that it opened itself and that is no whole .npz.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                scores, found = held["scores"], str(held["key"])
        except FileNotFoundError:
            return None, ""
        except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as cause:
            return None, f"{path}: damaged ({type(cause).__name__}), so it was computed again"
        if found != key or scores.shape != (count, self._classes) or scores.dtype != np.float32:
            return None, f"{path}: holds something else, so it was computed again"
        return scores, ""

    def store(self, key: str, scores: F32) -> None:
        """Write a file, whole or not at all. Raises: OSError: the folder is full or read-only."""
        with replacing(self._path(key)) as temporary, temporary.open("wb") as file:
            np.savez(file, scores=scores, key=np.array(key))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npz"


def _files_of(path: Path, sha256: str) -> list[tuple[str | int, ...]]:
    """Return what tells a model from another: its hash, and the files of weights that it names."""
    data = path.read_bytes()
    beside = sorted(other for other in path.parent.iterdir() if other != path and other.is_file())
    named = [other for other in beside if other.name.encode(errors="surrogateescape") in data]
    return [(sha256,), *((other.name, *_stamp(other)) for other in named)]


def _stamp(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and its time of change in nanoseconds, -1 where it is gone."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
