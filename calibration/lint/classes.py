"""Whether the pictures are of one class alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from calibration.lint.finding import Finding

# Good sets have 0.23 at most (digits); a set for two classes may well have two thirds.
MOST = 0.9
LEAST_IMAGES = 8


def check_classes(
    names: Sequence[str], labels: Sequence[str], listed: Mapping[str, str], top1: Mapping[int, int]
) -> Finding | None:
    """Find a set nearly all of which is one class.

    Args: names: of the pictures; labels: of the model, which folders may be called by; listed:
        the class of each picture where a labels.csv names it; top1: how many the float model takes
        for each class.
    """
    known = [listed.get(name) or _folder(name, labels) for name in names]
    if known and all(known):
        classes, said = Counter(str(name) for name in known), "are labelled"
    else:
        classes, said = Counter(), "are, to the float model,"
        for index, count in top1.items():  # of which several may have one name
            classes[labels[index] if labels else f"class {index}"] += count
    images = classes.total()
    if images < LEAST_IMAGES:
        return None
    name, count = classes.most_common(1)[0]
    if count <= MOST * images:
        return None
    return Finding(
        "one-class",
        "warning",
        f"{count} of {images} calibration images {said} {name!r}: other classes reach other "
        "values, or the preprocessing is not the model's",
        "--calibration to a set of all classes",
    )


def _folder(name: str, labels: Sequence[str]) -> str | None:
    """Return the folder that a picture lies in, where that is a label of the model."""
    folder = PurePosixPath(name).parent.name
    return folder if folder in labels else None
