"""Whether there are enough pictures to know how far the values reach."""

from __future__ import annotations

import math

import numpy as np

from calibration.lint.finding import Finding
from calibration.observers import Observations, percentile

# The tail, without the one value in ten thousand that is somewhere else in every set.
PERCENT = 99.99
# How much wider (log2) a tenth of the ranges are in one half of the set than in the other. Over
# random sets of pictures, of three networks: 0.36 for 2 pictures, 0.26 for 8, 0.20 for 16 (at most
# 0.42 in 80 sets), 0.08 for 64. So 16 that are alike pass with a margin; where one is unlike all
# the others, the half that has it stands out.
MOST = 0.6
# Fewer say nothing: halves of 2 may agree by chance.
LEAST_IMAGES = 8
ENOUGH = 16
# Ranges that move by a tenth cost next to nothing.
WANTED = math.log2(1.1)


def check_tails(observed: Observations, available: int) -> Finding | None:
    """Find a set whose halves disagree on the ranges, or that is too small to be halved.

    Args: observed: with halves; available: how many pictures the set that was given has.
    """
    if len(observed.halves) < 2:
        moved, evidence, needed = math.inf, "no two halves to compare", ENOUGH
    else:
        moves = _moves(observed)
        if not moves:
            return None
        moved = float(np.quantile(list(moves.values()), 0.9))
        name = max(moves, key=lambda key: moves[key])
        evidence = (
            f"between its halves a tenth of the ranges move by {100 * (2**moved - 1):.0f} % or "
            f"more (at most {name!r}, {100 * (2 ** moves[name] - 1):.0f} %)"
        )
        # As the spread of a mean, it shrinks with the root of their number.
        needed = max(ENOUGH, math.ceil(observed.samples * (moved / WANTED) ** 2))
    if observed.samples >= LEAST_IMAGES and moved <= MOST:
        return None
    more = f"--samples {needed}" if available >= needed else "--calibration to a larger set"
    return Finding(
        "too-few",
        "warning",
        f"{observed.samples} calibration images are too few to know how far values reach: "
        f"{evidence}; about {max(1, needed - observed.samples)} more of the same kind would do",
        more,
    )


def _moves(observed: Observations) -> dict[str, float]:
    """Return how much wider (log2, from 0) each range is in one half than in the other."""
    moves = {}
    for name in observed.histograms:
        widths = []
        for half in observed.halves:
            found = percentile(half[name], PERCENT)
            widths.append(found.high - found.low)
        if min(widths) > 0:
            moves[name] = abs(math.log2(widths[0] / widths[1]))
    return moves
