from __future__ import annotations

import math

import pytest

from edge import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (math.inf, "exact"),
        (-math.inf, "-inf dB"),  # noise without a signal is anything but exact
        (math.nan, "-"),
        (21.26, "21.3 dB"),
    ],
)
def test_decibels(value: float | None, text: str) -> None:
    assert figures.decibels(value) == text


def test_sizes_and_shares() -> None:
    assert figures.size(3_840_000) == "3.84 MB"
    assert figures.size(1_500) == "1.5 kB"
    assert figures.percent(0.98765) == "98.77 %"
    assert figures.percent(None) == "-"


def test_what_json_has_no_word_for_is_null() -> None:
    given = {"a": [1.5, math.inf, {"b": math.nan}], "c": "inf", "d": 3}
    assert figures.finite(given) == {"a": [1.5, None, {"b": None}], "c": "inf", "d": 3}
    assert figures.finite((1.0, (float("nan"),))) == [1.0, [None]]
