"""NumPy's .npz: a zip file of arrays. No pickles, and no more bytes than the headers say."""

from __future__ import annotations

import tokenize
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from converters.mobilenet_v2.weights.archive import opened
from converters.mobilenet_v2.weights.contents import (
    Contents,
    WeightFileError,
    check_claim,
    shown,
)
from edge.tensors import Array
from edge.text import printable

FORMAT = "npz"
SUFFIX = ".npy"
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path) -> Contents:
    """Raises: WeightFileError: the file is broken, too large, or holds anything but numbers."""
    with opened(path, FORMAT) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(SUFFIX)]
        arrays = {
            member.filename.removesuffix(SUFFIX): _array(path, archive, member)
            for member in members
        }
    return Contents(FORMAT, arrays)


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    name = member.filename
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"array {shown(name)} has format {version}")
        try:
            shape, is_fortran, dtype = HEADERS[version](stream)
        # What Python makes of a header that is no dictionary, or one that is nested without end.
        except (SyntaxError, tokenize.TokenError, TypeError, RecursionError) as cause:
            raise ValueError(f"the header of array {shown(name)} cannot be read") from cause
        if dtype.kind not in "fiub":
            found = printable(str(dtype)[:100])
            raise WeightFileError(f"{path}: array {shown(name)} holds {found}; allowed: numbers")
        size = check_claim(path, name, shape, dtype.itemsize)
        if stream.tell() + size != member.file_size:
            raise ValueError(
                f"array {shown(name)} has {member.file_size} bytes, which is not its shape "
                f"{list(shape)}"
            )
        data = stream.read(size + 1)  # one more: at the end the archive's checksum is looked at
    array: Array = np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
    return array
