"""The model card: what travels inside an artifact, so that the device needs nothing beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.preprocess import PreprocessError, PreprocessSpec

# The key of ONNX metadata_props and the name of the TFLite metadata buffer.
CARD_KEY = "edge_card"
# The key of ONNX metadata_props that says what integer inputs and outputs mean, which ONNX itself
# has no place for: {"input": {"name", "scale", "zero_point"}, "output": {...}}, where "output" is
# that of the classes' scores; and with several outputs "outputs": [{...}, ...], all of them.
TENSORS_KEY = "edge_tensors"
LABELS_FILE = "labels.txt"
FORMAT = 1
MAX_CARD_BYTES = 16 << 20
MAX_LABELS = 1_000_000
MAX_LABEL_CHARS = 1000


class CardError(EdgeError):
    """A card is missing, or is not one that this version reads."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model means: its classes, the picture it expects, and where it came from.

    `labels` is empty when none were given. `quantization` says how the integers came about (for
    reading, not for computing); it is empty for a float model. `source_sha256` is the hash of the
    float ONNX file. `versions` names the programs that wrote the artifact. `scores` is the name of
    the output that holds the classes' scores, "" where the model has no other.
    """

    name: str
    preprocess: PreprocessSpec
    labels: tuple[str, ...] = ()
    quantization: dict[str, Any] = field(default_factory=dict)
    source_sha256: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    scores: str = ""

    def to_json(self) -> str:
        """Return the card as one JSON text; `from_json` reads it."""
        scores = {"scores": self.scores} if self.scores else {}
        return json.dumps(
            {
                **scores,
                "format": FORMAT,
                "name": self.name,
                "preprocess": self.preprocess.to_json(),
                "labels": list(self.labels),
                "quantization": self.quantization,
                "source_sha256": self.source_sha256,
                "versions": self.versions,
            },
            ensure_ascii=False,
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelCard:
        """Check and read a card. Raises: CardError: it is not one; the cause is in the message."""
        try:
            if len(text) > MAX_CARD_BYTES:
                raise ValueError(f"{len(text)} bytes; at most {MAX_CARD_BYTES}")
            data = json.loads(text)
            if not isinstance(data, dict):
                raise TypeError("not a JSON object")
            if data.get("format") != FORMAT:
                raise ValueError(f"format {data.get('format')!r}; this version reads {FORMAT}")
            quantization, versions = data["quantization"], data["versions"]
            if not isinstance(quantization, dict) or not isinstance(versions, dict):
                raise TypeError("quantization and versions must be objects")
            scores = data.get("scores", "")
            if not isinstance(scores, str):
                raise TypeError("scores must be the name of an output")
            return cls(
                name=_line(data["name"]),
                preprocess=PreprocessSpec.from_json(data["preprocess"]),
                labels=check_labels(data["labels"]),
                quantization=quantization,
                source_sha256=_line(data["source_sha256"]),
                versions={_line(k): _line(v) for k, v in versions.items()},
                scores=scores,
            )
        except (KeyError, TypeError, ValueError, RecursionError, PreprocessError) as cause:
            raise CardError(
                f"the model's card cannot be read ({str(cause)[:200]}); convert the model again"
            ) from cause


def check_labels(labels: object) -> tuple[str, ...]:
    """Return `labels` as a tuple of single lines. Raises: ValueError, TypeError: they are not."""
    if not isinstance(labels, list | tuple):
        raise TypeError("labels must be a list")
    if len(labels) > MAX_LABELS:
        raise ValueError(f"{len(labels)} labels; at most {MAX_LABELS}")
    return tuple(_line(label) for label in labels)


def _line(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a string")
    if len(text) > MAX_LABEL_CHARS or not (text.isprintable()):
        raise ValueError(f"{text[:40]!r} is not one printable line of {MAX_LABEL_CHARS} characters")
    return text


def parse_labels(text: str) -> tuple[str, ...]:
    """Return the labels of a file that holds one a line; blank lines at its end do not count.

    Raises: CardError: a line has control characters or is longer than 1000 characters.
    """
    try:
        return check_labels([line.strip() for line in text.rstrip().splitlines()])
    except ValueError as cause:
        raise CardError(f"labels: {cause}") from cause


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the labels of a file, one a line.

    Raises: CardError: the file is no text of labels; OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_CARD_BYTES + 1)
    if len(data) > MAX_CARD_BYTES:
        raise CardError(f"{path} has more than {MAX_CARD_BYTES} bytes; is it a labels file?")
    try:
        labels = parse_labels(data.decode("utf-8-sig"))
    except UnicodeDecodeError as cause:
        raise CardError(f"{path} is not UTF-8 text ({cause.reason}); save it as UTF-8") from cause
    except CardError as cause:
        raise CardError(f"{path}: {cause}") from cause
    if not labels:
        raise CardError(f"{path} has no labels; give one line a class")
    return labels


def check_label_count(labels: tuple[str, ...], classes: int, where: str) -> None:
    """Raise CardError where there are labels, but not one for each class."""
    if labels and len(labels) != classes:
        raise CardError(
            f"{where} has {len(labels)} labels, but the model has {classes} classes; "
            "name a file with one line a class, in the model's order"
        )
