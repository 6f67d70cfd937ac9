from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from calibration.lint.tails import check_tails
from calibration.observers import Observations, observe

TENSORS = [f"t{i}" for i in range(20)]


def seen(scales: Sequence[float]) -> Observations:
    """Return what batches give whose values are normal, with these deviations."""
    rng = np.random.default_rng(0)
    batches = [
        {name: rng.normal(0, scale, 4000).astype(np.float32) for name in TENSORS}
        for scale in scales
    ]
    return observe(TENSORS, batches)


def test_halves_that_agree_are_enough() -> None:
    assert check_tails(seen([1.0] * 16), 16) is None


def test_one_picture_that_is_unlike_the_others_is_found() -> None:
    found = check_tails(seen([1.0] * 15 + [3.0]), 16)
    assert found is not None
    assert (found.code, found.severity) == ("too-few", "warning")
    # A half without it is narrower by three: 4.1 deviations of 32 000 values, or three times 3.6.
    moved = re.search(r"move by (\d+) %", found.sentence)
    assert moved is not None
    assert 140 < int(moved[1]) < 220
    assert found.change == "--calibration to a larger set"


def test_as_many_as_there_are_may_be_asked_for() -> None:
    found = check_tails(seen([1.0] * 15 + [3.0]), 5000)
    assert found is not None
    more = re.search(r"about (\d+) more", found.sentence)
    assert more is not None
    assert found.change == f"--samples {16 + int(more[1])}"


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_handful_is_too_few_whatever_it_says(count: int) -> None:
    found = check_tails(seen([1.0] * count), count)
    assert found is not None
    assert f"{count} calibration images are too few" in found.sentence


def test_eight_that_agree_pass() -> None:
    assert check_tails(seen([1.0] * 8), 8) is None


def test_values_that_never_vary_have_no_tail() -> None:
    zeros = [{"t": np.zeros(10, np.float32)}] * 9
    assert check_tails(observe(["t"], zeros), 9) is None
