"""Pictures and tensors in .npz files, read row by row: neither pickles nor bombs get anywhere."""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from calibration.decode import MAX_PIXELS
from calibration.images import DatasetError, ImageSet, Job, Picture, Tensors, even_steps
from edge.tensors import F32, IMAGE_CHANNELS, Array

# Where an archive holds several arrays, the one of these names is meant.
NAMES = ("images", "x")
MAX_BYTES = 64 << 30
_BROKEN = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # zipfile: encrypted
    NotImplementedError,  # zipfile: a compression that this Python lacks
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    # What Python makes of a header that is no dictionary, or one that is nested without end.
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
)


@dataclass(frozen=True, slots=True)
class _Member:
    """One array in an archive: C order, rows of `dtype` and `shape[1:]` from byte `offset` on."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    offset: int

    def rows(self, indices: Iterable[int]) -> Iterator[Array]:
        """Yield these rows, in rising order, one in memory at a time."""
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.name) as stream:
                for index in indices:
                    stream.seek(self.offset + index * size)
                    data = stream.read(size)
                    if len(data) != size:
                        raise EOFError(f"row {index} is cut short")
                    yield np.frombuffer(data, self.dtype).reshape(self.shape[1:])
        except _BROKEN as cause:
            raise _unreadable(self.path, cause) from cause


def open_npz(path: Path, limit: int | None) -> ImageSet | Tensors:
    """Open an .npz file: pictures where it holds uint8, preprocessed tensors where it holds floats.

    uint8 [N, H, W, 3] is taken as red, green, blue, [N, H, W] or [N, H, W, 1] as gray; float16,
    32 or 64 [N, C, H, W] or [N, H, W, C] with C of 1 or 3 goes to the model as it is.
    Raises: DatasetError: the file is broken, or holds something else.
    """
    try:
        member = _find(path)
    except _BROKEN as cause:
        raise _unreadable(path, cause) from cause
    shape, dtype = member.shape, member.dtype
    indices = even_steps(shape[0], limit)
    if dtype == np.uint8 and (len(shape) == 3 or (len(shape) == 4 and shape[3] in IMAGE_CHANNELS)):

        def jobs() -> Iterator[Job]:
            for index, row in zip(indices, member.rows(indices), strict=True):
                name = f"{member.name.removesuffix('.npy')}[{index}]"
                yield Job(name, partial(_picture, name, row))

        return ImageSet(str(path), len(indices), jobs)
    if dtype.kind == "f" and len(shape) == 4 and {shape[1], shape[3]} & set(IMAGE_CHANNELS):

        def floats() -> Iterator[F32]:
            for row in member.rows(indices):
                yield row.astype(np.float32)

        return Tensors(str(path), len(indices), shape[1:], floats)
    raise DatasetError(
        f"{path}: array {member.name.removesuffix('.npy')!r} is {dtype} {list(shape)}; allowed: "
        "uint8 [N, H, W, 3] or [N, H, W] (pictures), float [N, C, H, W] or [N, H, W, C] (tensors)"
    )


def _picture(name: str, row: Array) -> Picture:
    if row.ndim == 2:
        return Picture(name, row, "gray")
    if row.shape[2] == 1:
        return Picture(name, row[:, :, 0], "gray")
    return Picture(name, row, "rgb")


def _find(path: Path) -> _Member:
    with zipfile.ZipFile(path) as archive:
        arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        named = [info for info in arrays if info.filename.removesuffix(".npy") in NAMES]
        chosen = arrays if len(arrays) == 1 else named
        if len(chosen) != 1:
            found = ", ".join(info.filename.removesuffix(".npy") for info in arrays[:10])
            raise DatasetError(
                f"{path}: holds {len(arrays)} arrays ({found}); allowed: one, or one called "
                f"{' or '.join(NAMES)}"
            )
        with archive.open(chosen[0]) as stream:
            shape, dtype = _header(stream)
            offset = stream.tell()
        name, size = chosen[0].filename, chosen[0].file_size
    if dtype.hasobject:
        raise DatasetError(
            f"{path}: array {name} holds Python objects, which are not read; save numbers"
        )
    if not shape or min(shape) < 1:
        raise DatasetError(f"{path}: array {name} has shape {list(shape)}: no image in it")
    if math.prod(shape[1:]) > 3 * MAX_PIXELS or size > MAX_BYTES:
        raise DatasetError(
            f"{path}: array {name} of shape {list(shape)} is too large; allowed: "
            f"{MAX_PIXELS // 10**6} million pixels an image, {MAX_BYTES >> 30} GiB in all"
        )
    if offset + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"array {name} has {size} bytes, which is not its shape {list(shape)}")
    return _Member(path, name, shape, dtype, offset)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Read the header of an .npy stream, version 1 or 2 (3 is for field names in Unicode)."""
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"array format {version}")
    shape, fortran_order, dtype = readers[version](stream)
    if fortran_order and len(shape) > 1:
        raise ValueError("its array is in Fortran order; save np.ascontiguousarray(array)")
    return shape, dtype


def _unreadable(path: Path, cause: Exception) -> DatasetError:
    return DatasetError(
        f"{path}: cannot be read as .npz ({cause}); write it with numpy.savez(path, images=array)"
    )
