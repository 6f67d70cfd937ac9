"""Which reader a file of weights takes: by what it holds, never by its name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from converters.mobilenet_v2.weights import keras_file, tfjs
from converters.mobilenet_v2.weights.contents import MAX_BYTES, Contents, WeightFileError
from converters.mobilenet_v2.weights.keras_file import read_keras_archive, read_keras_h5
from converters.mobilenet_v2.weights.npz import SUFFIX, read_npz
from converters.mobilenet_v2.weights.safetensors_file import (
    looks_like_safetensors,
    read_safetensors,
)
from converters.mobilenet_v2.weights.tfjs import read_tfjs
from converters.mobilenet_v2.weights.torch_file import read_torch_old, read_torch_zip

HEAD_BYTES = 512
TAR_PLACE, TAR_MAGIC = 257, b"ustar"
READABLE = "safetensors, .npz, PyTorch's .pth, Keras' .h5 and .keras, model.json of TensorFlow.js"


def read_weights(path: Path) -> Contents:
    """Return the arrays of a file in any of the formats; nothing in it is run.

    Args: path: the file; of TensorFlow.js also the folder that holds model.json.
    Raises: WeightFileError: it is of no known format, broken, or too large; MissingExtraError:
        the library for its format is not installed; OSError: it cannot be read.
    """
    if path.is_dir() and (path / tfjs.MANIFEST).is_file():
        path = path / tfjs.MANIFEST
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    size_bytes = path.stat().st_size
    if size_bytes > MAX_BYTES:
        raise WeightFileError(f"{path}: has {size_bytes:,} bytes; allowed: {MAX_BYTES:,}")
    reader = _reader(path, head, size_bytes)
    if reader is None:
        raise WeightFileError(
            f"{path}: no file of weights by its content ({size_bytes:,} bytes, the first "
            f"{head[:8].hex(' ') or 'missing'}); allowed: {READABLE}"
        )
    contents = reader(path)
    if not contents.arrays:
        raise WeightFileError(f"{path}: a {contents.format} file without any array")
    return contents


def _reader(path: Path, head: bytes, size_bytes: int) -> Callable[[Path], Contents] | None:
    if head.startswith(keras_file.H5_MAGIC):
        return read_keras_h5
    if head.startswith(b"PK"):
        return _zip_reader(path)
    if looks_like_safetensors(head, size_bytes):
        return read_safetensors
    if head.startswith(b"\x80"):
        return read_torch_old
    if head.lstrip().startswith(b"{"):
        return read_tfjs
    if head[TAR_PLACE : TAR_PLACE + len(TAR_MAGIC)] == TAR_MAGIC:
        raise WeightFileError(
            f"{path}: a tar file, which PyTorch wrote before 2017; save it again with a newer one"
        )
    return None


def _zip_reader(path: Path) -> Callable[[Path], Contents]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as cause:
        raise WeightFileError(f"{path}: a broken zip file ({cause}); download it again") from cause
    if keras_file.CONFIG in names and keras_file.WEIGHTS in names:
        return read_keras_archive
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return read_torch_zip
    if any(name.endswith(SUFFIX) for name in names):
        return read_npz
    raise WeightFileError(
        f"{path}: a zip file with none of data.pkl (PyTorch), {SUFFIX} (NumPy) and "
        f"{keras_file.WEIGHTS} (Keras) in it"
    )
