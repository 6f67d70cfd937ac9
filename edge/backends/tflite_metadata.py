"""The metadata of a TFLite file, read by hand: not every runtime ships the schema's bindings.

A FlatBuffer table begins with the signed distance back to its vtable; the vtable holds its own
size, the table's size, and for each field its offset in the table, 0 where the field is absent.
Strings and vectors begin with their length. (https://flatbuffers.dev/internals)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Field numbers in the schema: Model, Metadata and Buffer.
_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA = 0


class MetadataError(ValueError):
    """The file's tables lead outside it."""


def read_metadata(model: bytes, name: str) -> bytes | None:
    """Return the content of the metadata buffer `name`, or None where the file has none.

    Raises: MetadataError: an offset leads outside `model`: it is cut off, or no TFLite file.
    """
    try:
        root = _follow(model, 0)
        buffers = list(_tables(model, _field(model, root, _MODEL_BUFFERS)))
        for entry in _tables(model, _field(model, root, _MODEL_METADATA)):
            if _bytes(model, _field(model, entry, _METADATA_NAME)) == name.encode():
                where = _field(model, entry, _METADATA_BUFFER)
                number = _u32(model, where) if where else 0
                return _bytes(model, _field(model, buffers[number], _BUFFER_DATA))
    except (struct.error, IndexError) as cause:
        raise MetadataError("its tables lead outside the file") from cause
    return None


def _u32(data: bytes, at: int) -> int:
    value: int = struct.unpack_from("<I", data, at)[0]
    return value


def _follow(data: bytes, at: int) -> int:
    """Return the position that the offset stored at `at` points to."""
    return at + _u32(data, at)


def _field(data: bytes, table: int, number: int) -> int:
    """Return the position of a table's field, 0 where it is absent."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    if vtable < 0:  # struct would count it from the end
        raise MetadataError("its tables lead outside the file")
    size = int(struct.unpack_from("<H", data, vtable)[0])
    entry = 4 + 2 * number
    if entry + 2 > size:
        return 0
    offset = int(struct.unpack_from("<H", data, vtable + entry)[0])
    return table + offset if offset else 0


def _vector(data: bytes, field: int) -> tuple[int, int]:
    """Return (position of the first element, length) of a vector or string; empty if absent."""
    if not field:
        return 0, 0
    start = _follow(data, field)
    return start + 4, _u32(data, start)


def _tables(data: bytes, field: int) -> Iterator[int]:
    first, count = _vector(data, field)
    # Each table has an offset of 4 bytes in the vector, so a false count ends outside the file.
    return (_follow(data, first + 4 * index) for index in range(count))


def _bytes(data: bytes, field: int) -> bytes:
    first, length = _vector(data, field)
    if first + length > len(data):
        raise MetadataError("its tables lead outside the file")
    return data[first : first + length]
