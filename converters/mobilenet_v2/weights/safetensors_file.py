"""safetensors: a header in JSON, then the bytes of every array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from converters.mobilenet_v2.weights.contents import (
    MAX_BYTES,
    Contents,
    WeightFileError,
    check_claim,
    check_total,
    shown,
)
from edge.backends.base import brief
from edge.errors import MissingExtraError
from edge.tensors import F32, Array

FORMAT = "safetensors"
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # widened below
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def read_safetensors(path: Path) -> Contents:
    """Raises: WeightFileError: the file is broken, or holds numbers of another kind."""
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError as cause:
        raise MissingExtraError("safetensors", "weights") from cause
    data = path.read_bytes()
    try:
        found = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as cause:
        raise WeightFileError(
            f"{path}: a broken safetensors file ({brief(cause)}); save or download it again"
        ) from cause
    check_total(path, (len(entry["data"]) for _, entry in found))
    return Contents(FORMAT, {name: _array(path, name, entry) for name, entry in found})


def _array(path: Path, name: str, entry: dict[str, Any]) -> Array:
    dtype = DTYPES.get(entry["dtype"])
    if dtype is None:
        raise WeightFileError(
            f"{path}: array {shown(name)} holds {entry['dtype']}; allowed: {', '.join(DTYPES)}"
        )
    check_claim(path, name, entry["shape"], np.dtype(dtype).itemsize)
    array: Array = np.frombuffer(entry["data"], dtype).reshape(entry["shape"])
    return from_bfloat16(array) if entry["dtype"] == "BF16" else array


def from_bfloat16(bits: Array) -> F32:
    """Return float32 for the upper halves of such, given as integers of 16 bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def looks_like_safetensors(head: bytes, size_bytes: int) -> bool:
    """Tell by the first bytes: the header's length, which the file must hold, then its brace."""
    return (
        len(head) > 8
        and head[8:9] == b"{"
        and int.from_bytes(head[:8], "little") <= min(size_bytes, MAX_BYTES)
    )
