"""PyTorch's .pth and .pt: a pickle that describes tensors, and the bytes of their storages.

Two forms: since PyTorch 1.6 a zip file (data.pkl, data/KEY), before it pickles one after another
with the storages behind them. Source: torch/serialization.py. Nothing is imported from torch.
"""

from __future__ import annotations

import io
import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile

import numpy as np

from converters.mobilenet_v2.weights.archive import opened
from converters.mobilenet_v2.weights.contents import (
    MAX_BYTES,
    Contents,
    WeightFileError,
    check_claim,
    shown,
)
from converters.mobilenet_v2.weights.pickled import read_pickle
from converters.mobilenet_v2.weights.pickled_tensors import PickleError, Plain, Storage, Tensor
from converters.mobilenet_v2.weights.safetensors_file import from_bfloat16
from edge.tensors import Array

FORMAT, OLD_FORMAT = "PyTorch", "PyTorch before 1.6"
MAX_PICKLE_BYTES = 64 << 20
OLD_MAGIC, OLD_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
# Where a checkpoint keeps weights beside an optimizer's state; the average over training first, as
# it is what was evaluated.
ENTRIES = ("model_ema", "state_dict_ema", "ema", "state_dict", "model", "net", "weights")
BYTE_ORDERS = {b"little": "<", b"big": ">"}

ReadStorage = Callable[[Storage], Array]


def read_torch_zip(path: Path) -> Contents:
    """Read the form that PyTorch has written since 1.6.

    Raises: WeightFileError: it is broken, too large, of TorchScript, or needs code to be run.
    """
    with opened(path, FORMAT) as archive:
        names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            raise WeightFileError(
                f"{path}: a TorchScript program; its weights alone are read: "
                "torch.save(model.state_dict(), file)"
            )
        [root] = [n.removesuffix("data.pkl") for n in names if n.endswith("data.pkl")][:1] or [""]
        if archive.getinfo(f"{root}data.pkl").file_size > MAX_PICKLE_BYTES:
            raise WeightFileError(f"{path}: its pickle has more than {MAX_PICKLE_BYTES:,} bytes")
        state = _unpickle(path, io.BytesIO(archive.read(f"{root}data.pkl")))
        return _contents(path, FORMAT, state, _zipped(archive, root))


def _zipped(archive: ZipFile, root: str) -> ReadStorage:
    names = set(archive.namelist())
    order = archive.read(f"{root}byteorder") if f"{root}byteorder" in names else b"little"
    if order not in BYTE_ORDERS:
        raise ValueError(f"byte order {order[:20]!r}")
    read: dict[str, bytes] = {}

    def storage(of: Storage) -> Array:
        if of.key not in read:
            if f"{root}data/{of.key}" not in names:
                raise ValueError(f"storage {shown(of.key)} is missing")
            read[of.key] = archive.read(f"{root}data/{of.key}")
        return _numbers(of, read[of.key], BYTE_ORDERS[order])

    return storage


def read_torch_old(path: Path) -> Contents:
    """Read the form that PyTorch wrote before 1.6. Raises: WeightFileError: as `read_torch_zip`."""
    # Of a file, a text that claims to be exabytes long would be allocated before it is read.
    with io.BytesIO(path.read_bytes()) as stream:
        if _unpickle(path, stream) != OLD_MAGIC or _unpickle(path, stream) != OLD_PROTOCOL:
            raise WeightFileError(
                f"{path}: a pickle, but not one of torch.save; save the weights as safetensors"
            )
        system = _unpickle(path, stream)
        is_big = isinstance(system, dict) and system.get("little_endian") is False
        order = ">" if is_big else "<"
        state, keys = _unpickle(path, stream), _unpickle(path, stream)
        start = stream.tell()
        found = {tensor.storage.key: tensor.storage for tensor in _tensors(state)}
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise WeightFileError(f"{path}: its list of storages is broken; download it again")
        try:
            stored = dict(_stored(stream, keys, found, order))
        except (ValueError, struct.error) as cause:
            raise WeightFileError(
                f"{path}: a broken file of PyTorch ({cause}; storages from byte {start}); "
                "save or download it again"
            ) from cause
    try:
        return _contents(path, OLD_FORMAT, state, lambda of: stored[of.key])
    except (KeyError, ValueError) as cause:
        raise WeightFileError(
            f"{path}: a broken file of PyTorch ({cause}); save or download it again"
        ) from cause


def _stored(
    stream: BinaryIO, keys: list[str], found: Mapping[str, Storage], order: str
) -> Iterator[tuple[str, Array]]:
    """Yield the storages, which lie in the order of `keys`, each behind its count of numbers."""
    for key in keys:
        if key not in found:
            raise ValueError(f"nothing says what storage {shown(key)} holds")
        of = found[key]
        (count,) = struct.unpack("<q", stream.read(8))
        if count != of.count:
            raise ValueError(f"storage {shown(key)} has {count} numbers, not {of.count}")
        itemsize = _dtype(of, order).itemsize
        if count * itemsize > MAX_BYTES:
            raise ValueError(f"storage {shown(key)} claims {count * itemsize:,} bytes")
        yield key, _numbers(of, stream.read(count * itemsize), order)


def _unpickle(path: Path, stream: BinaryIO) -> Plain:
    try:
        return read_pickle(stream)
    except PickleError as cause:
        raise WeightFileError(
            f"{path}: {cause}. Save the weights alone, torch.save(model.state_dict(), file), or as "
            "safetensors"
        ) from cause


def _dtype(of: Storage, order: str) -> np.dtype[Any]:
    return np.dtype(order + ("u2" if of.dtype == "bf16" else of.dtype))


def _numbers(of: Storage, data: bytes, order: str) -> Array:
    dtype = _dtype(of, order)
    if len(data) != of.count * dtype.itemsize:
        raise ValueError(
            f"storage {shown(of.key)} has {len(data):,} bytes, not {of.count:,} numbers of "
            f"{dtype.itemsize}"
        )
    array: Array = np.frombuffer(data, dtype)
    return from_bfloat16(array) if of.dtype == "bf16" else array


def _contents(path: Path, format_name: str, state: Plain, storage: ReadStorage) -> Contents:
    entry, weights, rest = _weights(path, state)
    arrays = {name: _view(path, name, of, storage) for name, of in weights.items()}
    notes = []
    if entry:
        others = sorted(name for name in ENTRIES if name in state and name != entry)
        also = f"; {', '.join(map(repr, others))} is there too, and is not" if others else ""
        notes.append(f"the entry {entry!r} of the checkpoint is read{also}")
    not_read = Counter({"other entries of the checkpoint": rest} if rest else {})
    return Contents(format_name, arrays, not_read, tuple(notes))


def _weights(path: Path, state: Plain) -> tuple[str, dict[str, Tensor], int]:
    """Return the entry that holds the weights ("" for the top), them, and how many tensors not."""
    places = (
        [(name, state[name]) for name in ENTRIES if name in state]
        if isinstance(state, dict)
        else []
    )
    for entry, place in [*places, ("", state)]:
        if not isinstance(place, dict):
            continue
        tensors = {n: t for n, t in place.items() if isinstance(n, str) and isinstance(t, Tensor)}
        if tensors:
            return entry, tensors, sum(1 for _ in _tensors(state)) - len(tensors)
    keys = list(state)[:10] if isinstance(state, dict) else type(state).__name__
    raise WeightFileError(
        f"{path}: no tensors at its top or in {', '.join(ENTRIES)}; it holds "
        f"{shown(str(keys))}. Save the weights alone, torch.save(model.state_dict(), file)"
    )


def _tensors(value: Plain) -> Iterator[Tensor]:
    """Yield every tensor in dictionaries, lists and tuples within each other, each place once."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, dict | list | tuple) and id(one) not in seen:
            seen.add(id(one))
            waiting += one.values() if isinstance(one, dict) else one


def _view(path: Path, name: str, tensor: Tensor, storage: ReadStorage) -> Array:
    """Return the tensor without a copy of its numbers."""
    shape, strides = tensor.shape, tensor.strides
    numbers = storage(tensor.storage)
    check_claim(path, name, shape, numbers.itemsize)
    if len(shape) != len(strides):
        raise WeightFileError(f"{path}: tensor {shown(name)} has no stride for each dimension")
    count = math.prod(shape)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if count and (count > len(numbers) or last >= len(numbers)):
        raise WeightFileError(
            f"{path}: tensor {shown(name)} of shape {list(shape)} leaves its storage of "
            f"{len(numbers):,} numbers; save or download it again"
        )
    if not count:
        return np.zeros(shape, numbers.dtype)
    view: Array = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :],
        shape,
        [stride * numbers.itemsize for stride in strides],
        writeable=False,
    )
    return view
