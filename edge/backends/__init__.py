"""One module for each runtime."""

from __future__ import annotations

import os
from pathlib import Path

from edge.backends.base import BackendError, OpenedModel
from edge.files import sha256

MAX_THREADS = 64
MAX_MODEL_BYTES = 1 << 30
_TFLITE_IDENTIFIER = slice(4, 8), b"TFL3"


def default_threads() -> int:
    """Return how many threads to run a model on where nobody says.

    Two at most: on a Pi's four cores four threads are faster on average, but their slowest frames
    take twice as long as with two, and the camera needs a core as well.
    """
    return min(2, len(os.sched_getaffinity(0)))


def open_model(
    path: str | Path,
    *,
    threads: int | None = None,
    exact_kernels: bool = False,
    scores: str = "",
) -> OpenedModel:
    """Open a .tflite or .onnx classifier in the runtime for it; the content decides.

    Args: threads: for one inference, 1 to 64; None: `default_threads()`; exact_kernels: on x86,
        make ONNX Runtime compute int8 as an Arm board does, without saturating 16-bit sums;
        scores: the output that holds the classes' scores, where there are several and the model's
        card does not say it, or says another.
    Raises: BackendError: the file is missing, damaged, or no model; TensorError: its input is not
        an image or its output not one number a class; ScoresError: of several outputs none can be
        taken for the scores, or more than one; CardError: it carries an unreadable card;
        MissingExtraError: the runtime is not installed.
    """
    path = Path(path)
    threads = default_threads() if threads is None else threads
    if not 1 <= threads <= MAX_THREADS:
        raise BackendError(f"{threads} threads; allowed: 1 to {MAX_THREADS}")
    stamp = _stamp(path)
    data = read_model(path)
    where, identifier = _TFLITE_IDENTIFIER
    if data[where] == identifier:
        from edge.backends.litert import LiteRtBackend

        return LiteRtBackend(path, data, threads, scores)
    if path.suffix.lower() == ".tflite":
        raise BackendError(
            f"{path} is not a TFLite model: its bytes 4 to 8 are not {identifier.decode()!r}; "
            "copy or convert it again"
        )
    from edge.backends.onnx import OnnxBackend
    from edge.backends.onnx_weights import weight_files

    digest, weights = sha256(data), weight_files(data, path.parent)
    del data  # ONNX Runtime reads the file itself, and takes its weights' memory twice
    backend = OnnxBackend(path, digest, threads, scores, weights, exact_kernels=exact_kernels)
    if _stamp(path) != stamp:
        backend.close()
        raise BackendError(f"{path} was changed while it was opened; open it again")
    return backend


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written or replaced; empty where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def read_model(path: Path) -> bytes:
    """Return the bytes of a file that may be a model. Raises: BackendError: it cannot be one."""
    try:
        if path.exists() and not path.is_file():
            raise BackendError(f"{path} is not a file; name a .tflite or .onnx file")
        size_bytes = path.stat().st_size
        if not 8 <= size_bytes <= MAX_MODEL_BYTES:
            raise BackendError(
                f"{path} has {size_bytes} bytes; a model has 8 to {MAX_MODEL_BYTES}. "
                "Copy or convert it again"
            )
        return path.read_bytes()
    except OSError as cause:
        raise BackendError(f"{path}: the model cannot be read ({cause.strerror})") from cause
