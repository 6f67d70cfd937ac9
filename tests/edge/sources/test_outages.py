from __future__ import annotations

from edge.latency.incidents import Tally
from edge.sources.outages import Outages

NONE = Outages()


def test_outages_say_how_long_they_last() -> None:
    assert NONE.total_ns(5) == NONE.current_ns(5) == 0
    assert Outages(2, 30, 20, 10, 100).total_ns(107) == 37
    assert NONE.begun_at(100).ended_by(107) == Outages(1, 7, 7, 7)


def test_an_outage_lies_in_every_interval_that_it_touches() -> None:
    lost = NONE.begun_at(100)
    assert lost.since(NONE, 90, 110) == Tally(1, 10, 10)
    assert lost.since(lost, 110, 120) == Tally(0, 10, 20)
    back = lost.ended_by(125)
    assert back.since(lost, 120, 130) == Tally(0, 5, 25)
    assert back.since(back, 130, 140) == Tally()


def test_the_longest_of_an_interval_is_not_one_from_before() -> None:
    before = NONE.begun_at(0).ended_by(1000)
    lost = before.begun_at(1100)
    assert lost.since(before, 1090, 1107) == Tally(1, 7, 7)
    # One that ended, and one that began: the longer of the two.
    ended = before.begun_at(1100).ended_by(1150)
    assert ended.begun_at(1190).since(before, 1090, 1200) == Tally(2, 60, 50)
    assert ended.begun_at(1160).since(before, 1090, 1290) == Tally(2, 180, 130)
    # A longer one than ever, though another came after it.
    longer = before.begun_at(1100).ended_by(3100).begun_at(3200).ended_by(3201)
    assert longer.since(before, 1090, 3300) == Tally(2, 2001, 2000)
