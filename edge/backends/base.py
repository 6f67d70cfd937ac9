"""What every runtime looks like to the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.card import ModelCard
from edge.errors import EdgeError
from edge.tensors import Array, TensorSpec


class BackendError(EdgeError):
    """A model file cannot be opened or run."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What an opened artifact is. `card` is None where the file carries none.

    `runtime` names package and version; `sha256` is the hash of the file.
    """

    path: str
    runtime: str
    input: TensorSpec
    output: TensorSpec
    card: ModelCard | None
    sha256: str
    threads: int


class Backend(Protocol):
    """One opened model. Not thread-safe; `close` frees what it holds."""

    @property
    def spec(self) -> ModelSpec: ...

    def input_view(self) -> Array:
        """Return the runtime's own input memory, shape `spec.input.shape`, to be written.

        Ownership: the runtime's. Do not keep the array across `run`: ask again.
        """
        ...

    def run(self) -> Array:
        """Run on what `input_view` holds; return the raw output, 1-D, one entry a class.

        Ownership: the runtime's, valid until the next `run`.
        """
        ...

    def close(self) -> None: ...
