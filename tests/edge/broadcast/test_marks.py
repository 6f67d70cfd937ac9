from __future__ import annotations

import time
from dataclasses import replace

import pytest

from edge.broadcast import marks as marks_module
from edge.broadcast.marks import MAX_MARKS, Marks
from edge.latency.incidents import NOTHING, Incidents, Tally
from edge.latency.recorder import Interval
from tests.edge.broadcast.runs import interval

SECOND = 10**9
LOST = Incidents(outages=Tally(1, 2 * SECOND, 2 * SECOND), longest_gap_ns=SECOND)
BLANK = Incidents(blank=3)
# No incident by itself: every camera has one.
GAP = Incidents(longest_gap_ns=SECOND)


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine have slept for a second before."""
    monkeypatch.setattr(time, "monotonic_ns", lambda: 100 * SECOND)
    monkeypatch.setattr(marks_module, "boot_ns", lambda: 101 * SECOND)


def at(begin_s: int, end_s: int, befell: Incidents) -> Interval:
    return replace(interval([1.0], befell), start_ns=begin_s * SECOND, end_ns=end_s * SECOND)


def added(*intervals: Interval) -> list[tuple[int, int, int, Incidents]]:
    marks = Marks()
    for number, one in enumerate(intervals):
        marks.add(one, number)
    return [(m.number, m.began_ms, m.ended_ms, m.incidents) for m in marks.newest()]


def test_a_mark_is_where_something_happened() -> None:
    assert added(at(0, 10, NOTHING), at(10, 20, LOST), at(20, 30, GAP)) == [
        (1, 11_000, 21_000, LOST)
    ]


def test_what_goes_on_makes_a_mark_longer() -> None:
    rest = Incidents(outages=Tally(0, SECOND, 3 * SECOND))
    assert added(at(10, 20, LOST), at(20, 30, rest), at(30, 40, BLANK)) == [
        (1, 11_000, 31_000, LOST.merged(rest)),
        (2, 31_000, 41_000, BLANK),
    ]


def test_what_comes_again_later_is_another() -> None:
    calm = added(at(10, 20, BLANK), at(20, 30, NOTHING), at(30, 40, BLANK))
    assert [found[0] for found in calm] == [0, 2]
    # An interval between the two that did not come here.
    assert [found[0] for found in added(at(10, 20, BLANK), at(30, 40, BLANK))] == [0, 1]


def test_marks_are_bounded() -> None:
    many = added(*(at(20 * n, 20 * n + 10, BLANK) for n in range(MAX_MARKS + 3)))
    assert [found[0] for found in many] == list(range(3, MAX_MARKS + 3))
