"""What a pickle of PyTorch describes: storages, tensors that are views of them, and containers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

# Dictionaries, lists, tuples, numbers, text and what is defined below.
Plain: TypeAlias = Any

MAX_DIMENSIONS = 8
# Element types of PyTorch's storages, little-endian as on every machine that it runs on.
STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class PickleError(ValueError):
    """A pickle is broken, or does what no state dict needs."""


@dataclass(frozen=True, slots=True)
class Name:
    """What the pickle calls `module.name`; only ever compared with names."""

    full: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of `count` numbers that lies elsewhere in the file, under `key`."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage: `offset` and `strides` in numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def count_of(number: object) -> int:
    """Return a size. Raises: PickleError: it is none, or one that no tensor has."""
    if not isinstance(number, int):
        # Never its text: a list of itself, twice, sixty times over, has a text without end.
        raise PickleError(f"{type(number).__name__} as a size")
    if not 0 <= number < 1 << 48:
        raise PickleError(f"{hex(number)[:40]} as a size")
    return number


def counts_of(numbers: object) -> tuple[int, ...]:
    """Return a shape, or strides. Raises: PickleError: it is no tuple of sizes."""
    if not isinstance(numbers, tuple) or len(numbers) > MAX_DIMENSIONS:
        raise PickleError(f"a shape that is no tuple of at most {MAX_DIMENSIONS} numbers")
    return tuple(count_of(number) for number in numbers)


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
    storage, offset, shape, strides, *_ = arguments
    if not isinstance(storage, Storage):
        raise PickleError("a tensor without a storage")
    return Tensor(storage, count_of(offset), counts_of(shape), counts_of(strides))


def _parameter(arguments: tuple[Any, ...]) -> Plain:
    return arguments[0]


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if arguments:  # its items follow, one by one
        raise PickleError("a dictionary made of another")
    return {}


def _size(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    return counts_of(arguments[0])


# What may be called, and what stands for the call.
CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _dictionary,
    "torch.Size": _size,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor_v2": _tensor,
}
