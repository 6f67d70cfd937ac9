"""Pickles written operation by operation, as torch.save writes them and as an attacker would."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edge.tensors import Array

PROTOCOL = b"\x80\x02"
TYPES = {"float32": "FloatStorage", "float64": "DoubleStorage", "int64": "LongStorage"}


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def number(value: int) -> bytes:
    data = value.to_bytes(8, "little", signed=True)
    return b"\x8a\x08" + data


def several(parts: Sequence[bytes]) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def called(name: str, *arguments: bytes) -> bytes:
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n".encode() + several(arguments) + b"R"


def dictionary(items: Mapping[str, bytes], start: bytes = b"}") -> bytes:
    return start + b"(" + b"".join(text(k) + v for k, v in items.items()) + b"u"


def storage(key: str, kind: str, count: int, *, is_old: bool = False) -> bytes:
    parts = [text("storage"), f"ctorch\n{kind}\n".encode(), text(key), text("cpu"), number(count)]
    return several([*parts, b"N"] if is_old else parts) + b"Q"


def tensor(stored: bytes, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> bytes:
    return called(
        "torch._utils._rebuild_tensor_v2",
        stored,
        number(offset),
        several([number(n) for n in shape]),
        several([number(n) for n in strides]),
        b"\x89",
        called("collections.OrderedDict"),
    )


def whole(array: Array, key: str, *, is_old: bool = False) -> bytes:
    """An array in C order with a storage of its own."""
    stored = storage(key, TYPES[array.dtype.name], array.size, is_old=is_old)
    strides = [stride // array.itemsize for stride in np.zeros(array.shape, array.dtype).strides]
    return tensor(stored, array.shape, strides)


def state(arrays: Mapping[str, Array], *, is_old: bool = False) -> bytes:
    """An OrderedDict of tensors, with the attribute that modules' state has."""
    items = {n: whole(a, str(k), is_old=is_old) for k, (n, a) in enumerate(arrays.items())}
    start = called("collections.OrderedDict")
    return dictionary(items, start) + dictionary({"_metadata": b"}"}) + b"b"


def save_zip(
    path: Path, pickle: bytes, arrays: Sequence[Array] = (), more: Mapping[str, bytes] | None = None
) -> Path:
    """Write what torch.save has written since 1.6; storages are named by their place."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", PROTOCOL + pickle + b".")
        for key, array in enumerate(arrays):
            archive.writestr(f"archive/data/{key}", array.tobytes())
        for name, data in (more or {}).items():
            archive.writestr(f"archive/{name}", data)
    return path


def save_old(path: Path, arrays: Mapping[str, Array], *, counts: int = 0) -> Path:
    """Write what torch.save wrote before; `counts` is added to what each storage claims."""
    magic = b"\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
    system = dictionary({"little_endian": b"\x88"})
    keys = b"](" + b"".join(text(str(key)) for key in range(len(arrays))) + b"e"
    pickles = [magic, number(1001), system, state(arrays, is_old=True), keys]
    data = b"".join(PROTOCOL + pickle + b"." for pickle in pickles)
    for array in arrays.values():
        data += (array.size + counts).to_bytes(8, "little") + array.tobytes()
    path.write_bytes(data)
    return path
