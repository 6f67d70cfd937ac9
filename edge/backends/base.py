"""What every runtime looks like to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from edge.card import MAX_LABELS, ModelCard
from edge.errors import EdgeError
from edge.scores import Output, is_vector, the_scores
from edge.tensors import F32, Array, TensorError, TensorSpec
from edge.text import printable


class BackendError(EdgeError):
    """A model file cannot be opened or run."""


def brief(error: Exception) -> str:
    """Return the first line of what a runtime said, as it fits into a message of ours."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return printable(line[:200])  # it quotes names from the file


def raise_if_installed(package: str, cause: ImportError) -> None:
    """Raise BackendError where `package`, whose import failed, is there all the same.

    Its own dependency is missing then, or it was built for another system or another NumPy.
    """
    if find_spec(package.replace("-", "_")) is not None:
        raise BackendError(
            f"{package} is installed, but cannot be loaded ({brief(cause)}); install one that was "
            "built for this system, Python and NumPy, with all that it needs"
        ) from cause


def only_input(path: Path, names: Sequence[str]) -> None:
    """Raise BackendError where a model has not one input."""
    if len(names) != 1:
        raise BackendError(
            f"{path} has {len(names)} inputs ({', '.join(map(repr, names))}); an image classifier "
            "has one"
        )


def scores_place(path: Path, outputs: Sequence[Output], named: str, card: ModelCard | None) -> int:
    """Return which output holds the classes' scores: the one `named`, or that of the card.

    Where neither says, it is the only output of one number a class.
    Raises: BackendError: there is no output; ScoresError: none is called so, none has such a shape,
        or nobody says which of several it is.
    """
    if not outputs:
        raise BackendError(f"{path} has no output; an image classifier gives its classes' scores")
    named = named or (card.scores if card else "")
    # What is wrong with a single one, `ModelSpec` says.
    return the_scores(outputs, named, str(path)) if named or len(outputs) > 1 else 0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What an opened artifact is. `card` is None where the file carries none.

    `output` is the one that holds the classes' scores; `runtime` names package and version;
    `sha256` is the hash of the file.
    Raises: TensorError: the input is not one image, or the output not one number a class.
    """

    path: str
    runtime: str
    input: TensorSpec
    output: TensorSpec
    card: ModelCard | None
    sha256: str
    threads: int

    def __post_init__(self) -> None:
        self.input.image_geometry()
        shape = self.output.shape
        if not is_vector(shape):
            raise TensorError(
                f"output {self.output.name!r} has shape {list(shape)}, which is not one number a "
                "class; allowed: [1, classes], [classes] and [1, 1, 1, classes] with classes of 1 "
                f"to {MAX_LABELS}"
            )

    @property
    def classes(self) -> int:
        return max(self.output.shape)


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


class OpenedModel(Backend, Protocol):
    """A backend that has a file behind it, all of whose outputs can be looked at."""

    def kernels(self) -> str:
        """Return in a few words which of the runtime's kernels compute the model."""
        ...

    def run_all(self) -> dict[str, F32]:
        """Run as `run` does; return every output by name, in order, as real values and as shaped.

        Slow, for a look at what stands beside the scores: everything is copied.
        Raises: TensorError: an output is neither float32 nor int8 nor uint8.
        """
        ...
