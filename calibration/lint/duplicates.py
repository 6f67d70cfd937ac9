"""Pictures that are there twice, and pictures that are evaluated on as well."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from calibration.lint.finding import Finding, some
from calibration.lint.look import Look

# Of 335 000 pairs of different pictures (ImageNet's, digits on cards of a few kinds) the nearest
# has 0.91; the same picture at half its size, saved as a JPEG of quality 20, brighter or with noise
# has 0.99 and more. Moved by one pixel in a hundred it has 0.95, and is not known again.
NEAR = 0.98
ROWS = 256


def check_duplicates(looks: Mapping[str, Look]) -> Finding | None:
    """Find pictures that repeat another one's pixels, or nearly."""
    names = sorted(looks)
    first: dict[bytes, str] = {}
    exact, single = [], []
    for name in names:
        kept = first.setdefault(looks[name].digest, name)
        if kept == name:
            single.append(name)
        else:
            exact.append(f"{name} = {kept}")
    near = _alike(single, single, looks, looks, is_same_set=True)
    if not exact and not near:
        return None
    parts = []
    if exact:
        parts.append(f"{len(exact)} pixel by pixel ({some(exact)})")
    if near:
        parts.append(f"{len(near)} nearly ({some(near)})")
    return Finding(
        "duplicates",
        "warning",
        f"{len(exact) + len(near)} of {len(names)} calibration images repeat another one, "
        f"{' and '.join(parts)}: they count twice and add nothing",
        "--calibration to a set without them",
    )


def check_overlap(looks: Mapping[str, Look], evaluated: Mapping[str, Look]) -> Finding | None:
    """Find pictures of the evaluation set that calibration has seen, or nearly."""
    first: dict[bytes, str] = {}
    for name in sorted(looks):
        first.setdefault(looks[name].digest, name)
    exact, rest = [], []
    for name in sorted(evaluated):
        if evaluated[name].digest in first:
            exact.append(f"{name} = {first[evaluated[name].digest]}")
        else:
            rest.append(name)
    near = _alike(rest, sorted(looks), evaluated, looks, is_same_set=False)
    if not exact and not near:
        return None
    return Finding(
        "overlap",
        "error",
        f"{len(exact) + len(near)} of {len(evaluated)} evaluation images were calibrated on, "
        f"{len(exact)} of them pixel by pixel ({some(exact + near)}): accuracy on them flatters",
        "--evaluate or --calibration, so that they share no image",
    )


def _alike(
    names: list[str],
    others: list[str],
    looks: Mapping[str, Look],
    other_looks: Mapping[str, Look],
    *,
    is_same_set: bool,
) -> list[str]:
    """Return "name ~ other" for each name that nearly looks like another one.

    Within one set, those others count that come before it.
    """
    if not names or not others:
        return []
    there = np.stack([other_looks[name].thumbnail for name in others])
    found = []
    for start in range(0, len(names), ROWS):
        block = names[start : start + ROWS]
        likeness = np.stack([looks[name].thumbnail for name in block]) @ there.T
        if is_same_set:
            likeness = np.tril(likeness, start - 1)
        nearest = likeness.argmax(axis=1)
        found += [
            f"{name} ~ {others[nearest[row]]}"
            for row, name in enumerate(block)
            if likeness[row, nearest[row]] >= NEAR
        ]
    return found
