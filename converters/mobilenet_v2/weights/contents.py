"""What a file of weights holds, whatever its format: named arrays, and what it says of itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from converters.mobilenet_v2.architecture import Activation, Padding
from edge.errors import EdgeError
from edge.preprocess import PreprocessSpec
from edge.tensors import Array
from edge.text import printable

# What json.loads gives.
Json: TypeAlias = Any

# The paper's network has 14 MB; one of four times the width, with what its optimizer remembers,
# stays below. What a file claims is held against it before anything of that size is allocated.
MAX_BYTES = 1 << 30
MAX_ARRAYS = 20_000
MAX_NAME_CHARS = 300
SHOWN = 12


class WeightFileError(EdgeError):
    """A file of weights cannot be read, or holds other weights than are asked for."""


@dataclass(frozen=True, slots=True)
class Topology:
    """What a format that stores the network itself says of it, None where it does not.

    `strides` are those of the 3x3 convolutions in order.
    """

    epsilon: float | None = None
    image_hw: tuple[int, int] | None = None
    padding: Padding | None = None
    activation: Activation | None = None
    has_shortcut: bool | None = None
    strides: tuple[int, ...] | None = None
    preprocess: PreprocessSpec | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """Arrays by name, as the format has them; any number type, any byte order.

    `not_read` counts what is no weight of the network and was left in the file, by what it is.
    `notes` are sentences that the user should see.
    """

    format: str
    arrays: Mapping[str, Array]
    not_read: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    topology: Topology = Topology()


def check_claim(path: Path, name: str, shape: Sequence[int], itemsize: int) -> int:
    """Return how many bytes an array of this shape takes.

    Raises: WeightFileError: a dimension is negative, or it is more than any network needs.
    """
    if len(shape) > 8 or any(side < 0 for side in shape):
        raise WeightFileError(f"{path}: array {shown(name)} has an impossible shape")
    size = math.prod(shape) * itemsize
    if size > MAX_BYTES:
        raise WeightFileError(
            f"{path}: array {shown(name)} claims {size:,} bytes; allowed: {MAX_BYTES:,} in a file"
        )
    return size


def check_total(path: Path, sizes: Iterable[int]) -> None:
    """Raise WeightFileError where there are too many arrays, or too many bytes in all of them."""
    count, total = 0, 0
    for size in sizes:
        count, total = count + 1, total + size
    if count > MAX_ARRAYS or total > MAX_BYTES:
        raise WeightFileError(
            f"{path}: claims {count:,} arrays of {total:,} bytes; allowed: {MAX_ARRAYS:,} arrays "
            f"of {MAX_BYTES:,} bytes in all"
        )


def shown(name: str) -> str:
    """Return a name from a file as it fits into a message."""
    return repr(printable(name[:MAX_NAME_CHARS]))


def listed(faults: Iterable[str]) -> str:
    """Return the first few of the sorted `faults`, and how many more there are."""
    every = sorted(faults)
    more = f"; and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return "; ".join(every[:SHOWN]) + more
