"""Which class of the images is which of a model's scores. Nothing is guessed in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.scores import EvaluationError

BACKGROUND = "background"
# TensorFlow's ImageNet models have the background before the 1000 classes.
WITH_BACKGROUND = 1001


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes that the images are of: how many, and their names, or none."""

    count: int
    names: tuple[str, ...] = ()

    def name(self, index: int) -> str:
        return self.names[index] if self.names else f"class {index}"


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model says of its scores: how many, and the labels in its card, or none."""

    path: str
    count: int
    labels: tuple[str, ...] = ()


def choose_classes(
    models: Sequence[Scored], labels: tuple[str, ...], offset: int | None
) -> Classes:
    """Return the classes of the images.

    They are those of the `labels` file; without it, those of the model that has the fewest. A
    background that stands first is none of them, unless `offset` (--class-offset) is 0.
    Raises: EvaluationError: all have 1001 classes, and nobody says whether one is the background.
    """
    if labels:
        names = labels[1:] if offset != 0 and _has_background(labels) else labels
        return Classes(len(names), names)
    fewest = min(model.count for model in models)
    given = next((m.labels for m in models if m.labels and m.count == fewest), ())
    if fewest == max(model.count for model in models):
        if not given and offset is None and fewest == WITH_BACKGROUND:
            raise EvaluationError(
                f"{models[0].path} has {WITH_BACKGROUND} classes and no labels, so whether its "
                "first is the background is unknown; pass --class-offset 1 if it is (class 0 of "
                "the images is then score 1), --class-offset 0 if not, or a --labels file"
            )
        fewest -= int(_has_background(given)) if offset is None else offset
        if fewest < 1:
            raise EvaluationError(
                f"--class-offset {offset}; {models[0].path} has only {models[0].count} classes"
            )
    if not given:
        given = next((m.labels for m in models if m.labels), ())
    return Classes(fewest, given[-fewest:])


def columns_of(model: Scored, classes: Classes, offset: int | None) -> tuple[tuple[int, ...], str]:
    """Return, for each class of the images, the place of its score, and a note, "" for none.

    The model's own labels decide where they name every class; else the classes are in the model's
    order, behind `offset` (--class-offset) others where it has that many more.
    Raises: EvaluationError: it has other classes, and no labels or offset that explain them.
    """
    extra = model.count - classes.count
    straight = tuple(range(extra, model.count))
    shifted = f"{model.path}: class 0 of the images is its score {extra}"
    if offset is None and model.labels and classes.names:
        if model.labels[extra:] == classes.names and extra in (0, 1):
            return straight, f"{shifted}, behind {model.labels[0]!r}" if extra else ""
        place = {label: index for index, label in enumerate(model.labels)}
        if set(classes.names) <= set(place) and len(place) == len(model.labels):
            note = f"{model.path}: its classes lie in another order, and are found by their labels"
            return tuple(place[name] for name in classes.names), note
    if extra == 0:
        return straight, _other_names(model, classes)
    if extra == offset:
        return straight, shifted
    if extra == 1 and offset is None and _has_background(model.labels):
        return straight, f"{shifted}, behind {model.labels[0]!r}"
    raise EvaluationError(_refusal(model, classes, extra))


def _refusal(model: Scored, classes: Classes, extra: int) -> str:
    found = f"{model.path} has {model.count} classes where the images are of {classes.count}"
    if extra < 0:
        return f"{found}; give models of the same classes, or the --labels of this one"
    return (
        f"{found}; if its first {extra} are none of them (as a background is), pass --class-offset "
        f"{extra}, else give models of the same classes"
    )


def _other_names(model: Scored, classes: Classes) -> str:
    pairs = zip(model.labels, classes.names, strict=False)
    for index, (own, name) in enumerate(pairs):
        if own != name:
            return (
                f"{model.path}: its labels are not those of the images (class {index} is {own!r}, "
                f"not {name!r}); its classes are taken to be in the same order"
            )
    return ""


def _has_background(labels: Sequence[str]) -> bool:
    return len(labels) > 1 and labels[0].lower() == BACKGROUND
