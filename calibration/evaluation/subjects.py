"""The models that are compared: opened once to see what each takes, gives and is run by."""

from __future__ import annotations

import mmap
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.evaluation.classes import Classes, Scored, choose_classes, columns_of
from calibration.scores import EvaluationError
from edge.backends import open_model
from edge.backends.base import ModelSpec, OpenedModel
from edge.picture_flags import DEFAULT_PRESET, NO_FLAGS, PreprocessFlags, default_preprocess
from edge.preprocess import Preprocessor, PreprocessSpec

X86 = ("x86_64", "AMD64")
# One of these is in the name of every ONNX operator that computes with integers or makes them.
INTEGER_OPERATORS = (b"Quantize", b"QLinear", b"Integer")
DEFAULT_KERNELS = "default kernels"


@dataclass(frozen=True, slots=True)
class Subject:
    """One model with one runtime's kernels, as every process opens it.

    `kernels`, `runtime`: in words; `is_exact`: as an Arm board computes it; `columns`: for each
    class of the images the place of its score; `input`: [height, width]; `sha256`: of the file.
    """

    name: str
    path: str
    runtime: str
    kernels: str
    is_exact: bool
    scores: str
    preprocess: PreprocessSpec
    columns: tuple[int, ...]
    classes: int
    input: tuple[int, int]
    sha256: str

    def open(self) -> OpenedModel:
        """Return the model, opened with one thread, as everybody else's is. Raises: EdgeError."""
        return open_model(self.path, threads=1, exact_kernels=self.is_exact, scores=self.scores)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user says of the models. `files`: the first is the one that others are held to.

    `labels`: of a file, or none; `offset`: --class-offset, None where not given; `scores`: the
    output that holds them, "" where the model says it.
    """

    files: tuple[Path, ...]
    labels: tuple[str, ...] = ()
    offset: int | None = None
    picture: PreprocessFlags = NO_FLAGS
    scores: str = ""


@dataclass(frozen=True, slots=True)
class Subjects:
    """The models, the one that the others are held to first, and what to know of them."""

    models: tuple[Subject, ...]
    classes: Classes
    notes: tuple[str, ...]


def find_subjects(wanted: Wanted) -> Subjects:
    """Open every model once, and say how each is to be run.

    An ONNX model that computes with integers is there twice on x86: with exact kernels, as an Arm
    board computes it, and then as ONNX Runtime runs it by default.
    Raises: EdgeError: a model cannot be opened, or does not go with the others or the flags.
    """
    specs, kernels = [], []
    for path in wanted.files:
        backend = open_model(path, threads=1, exact_kernels=True, scores=wanted.scores)
        specs.append(backend.spec)
        kernels.append(backend.kernels())
        backend.close()
    scored = [_scored(spec, wanted.labels) for spec in specs]
    classes = choose_classes(scored, wanted.labels, wanted.offset)
    preprocess, notes = _preprocessing(specs, wanted.picture)
    names = _names(wanted.files)
    models = []
    for place, spec in enumerate(specs):
        columns, note = columns_of(scored[place], classes, wanted.offset)
        notes += [note] if note else []
        Preprocessor(preprocess[place], spec.input)  # sees that its channels fit
        _, height, width, _ = spec.input.image_geometry()
        subject = Subject(
            name=names[place],
            path=spec.path,
            runtime=spec.runtime,
            kernels=kernels[place],
            is_exact=True,
            scores=wanted.scores,
            preprocess=preprocess[place],
            columns=columns,
            classes=spec.classes,
            input=(height, width),
            sha256=spec.sha256,
        )
        models += [subject, *_with_default_kernels(subject)]
    return Subjects(tuple(models), classes, (*notes, *_differences(models)))


def _scored(spec: ModelSpec, labels: tuple[str, ...]) -> Scored:
    own = spec.card.labels if spec.card else ()
    if not own and len(labels) == spec.classes:
        own = labels
    return Scored(spec.path, spec.classes, own)


def _names(files: Sequence[Path]) -> list[str]:
    """Return the files' names, or where two are alike, the paths as they were given."""
    count = Counter(path.name for path in files)
    return [path.name if count[path.name] == 1 else str(path) for path in files]


def _with_default_kernels(subject: Subject) -> list[Subject]:
    if platform.machine() not in X86 or not subject.runtime.startswith("onnxruntime"):
        return []
    with (
        Path(subject.path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        if all(data.find(name) < 0 for name in INTEGER_OPERATORS):
            return []
    name = f"{subject.name} ({DEFAULT_KERNELS})"
    return [replace(subject, name=name, kernels=DEFAULT_KERNELS, is_exact=False)]


def _preprocessing(
    specs: Sequence[ModelSpec], flags: PreprocessFlags
) -> tuple[list[PreprocessSpec], list[str]]:
    """Return how each model wants its pictures, and notes on what is not from its own card.

    Without a card it is what the flags say, else what the card of a model that was made from it
    says, else a preset.
    """
    made_from = {spec.card.source_sha256: spec for spec in specs if spec.card}
    found, notes, is_used = [], [], False
    for spec in specs:
        child = made_from.get(spec.sha256)
        if spec.card is not None:
            found.append(spec.card.preprocess)
        elif flags == NO_FLAGS and child is not None and child.card is not None:
            found.append(child.card.preprocess)
            notes.append(f"{spec.path}: preprocessed as {child.path} says, which was made from it")
        else:
            is_used = True
            found.append(flags.apply(default_preprocess(spec.input.image_geometry()[3])))
            if flags == NO_FLAGS:
                notes.append(
                    f"{spec.path} says nothing about its preprocessing: --preprocess "
                    f"{DEFAULT_PRESET} is assumed; give the one that it was trained with"
                )
    if flags != NO_FLAGS and not is_used:
        raise EvaluationError(
            "every model carries its preprocessing in its card; leave out --preprocess, --mean, "
            "--std, --resize and --color"
        )
    return found, notes


def _differences(models: Sequence[Subject]) -> list[str]:
    """Say where the models do not see the same pixels."""
    ways = dict.fromkeys((model.preprocess, model.input) for model in models)
    if len(ways) == 1:
        return []
    seen = []
    for way in ways:
        names = dict.fromkeys(m.path for m in models if (m.preprocess, m.input) == way)
        seen.append(f"{', '.join(names)}: {described(*way)}")
    return [f"the models see the same images, each in its own way: {'; '.join(seen)}"]


def described(spec: PreprocessSpec, height_width: tuple[int, int]) -> str:
    """Return a preprocessing in words."""
    resize = f"short side to {spec.resize}, " if spec.resize else ""
    mean, std = (",".join(f"{v:g}" for v in values) for values in (spec.mean, spec.std))
    height, width = height_width
    return f"{resize}centre {height}x{width}, {spec.color}, mean {mean}, std {std}"
