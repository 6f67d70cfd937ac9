"""What is wrong with a calibration set: one check a module, each gives a Finding or None."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from calibration.lint.classes import check_classes
from calibration.lint.duplicates import check_duplicates, check_overlap
from calibration.lint.finding import Finding, Lint
from calibration.lint.norm import (
    LEAST_COLOR_IMAGES,
    LEAST_IMAGES,
    Norm,
    check_color,
    check_preset,
)
from calibration.lint.tails import check_tails
from calibration.lint.values import check_bytes, check_tensors
from calibration.lint.watch import Watch
from calibration.observers import Observations

__all__ = ["About", "Finding", "Lint", "Norm", "Watch", "check_overlap", "lint"]


@dataclass(frozen=True, slots=True)
class About:
    """What is known beside the pictures themselves.

    `available`: how many pictures the set that was given has; `labels`: of the model; `listed`:
    the class of each picture where a labels.csv names it; `norm`: the model's first
    BatchNormalization, where it has one; `are_given`: the set holds tensors; `synthetic`: it was
    made, and only tells whether the preprocessing fits.
    """

    available: int
    labels: tuple[str, ...] = ()
    listed: Mapping[str, str] = field(default_factory=dict)
    norm: Norm | None = None
    are_given: bool = False
    synthetic: bool = False


def lint(watch: Watch, observed: Observations, about: About) -> Lint:
    """Make every check that there is evidence for, but for `check_overlap`, which needs more."""
    checks: dict[str, Callable[[], Finding | None]] = {}
    norm, spec, kept = about.norm, watch.spec, watch.kept
    if about.are_given:
        checks["values"] = partial(check_tensors, watch.lows, watch.highs, spec)
    elif not about.synthetic:
        checks["values"] = partial(check_bytes, watch.looks)
    if not about.synthetic:
        checks["duplicates"] = partial(check_duplicates, watch.looks)
        checks["too-few"] = partial(check_tails, observed, about.available)
        names = sorted(watch.looks)
        checks["one-class"] = partial(check_classes, names, about.labels, about.listed, watch.top1)
    found = {code: check() for code, check in checks.items()}
    # What did not come from bytes tells nothing of presets; under another preset than the model's,
    # colours tell nothing, nor do those of made pictures.
    if norm is not None and len(kept) >= LEAST_IMAGES and found.get("values") is None:
        found["preset"] = check_preset(norm, kept, spec)
        can_tell = found["preset"] is None and spec.color != "gray" and not about.synthetic
        if can_tell and min(norm.images, len(kept)) >= LEAST_COLOR_IMAGES:
            found["color"] = check_color(norm, kept, spec)
    result = Lint((), ())
    for code, finding in found.items():
        result = result.after(code, finding)
    return result
