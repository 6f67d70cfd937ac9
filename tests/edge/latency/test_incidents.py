from __future__ import annotations

import dataclasses

from edge.latency.incidents import COUNTS, NOTHING, TALLIES, Incidents, Tally


def test_every_field_is_a_tally_a_count_or_the_gap() -> None:
    assert {f.name for f in dataclasses.fields(Incidents)} == {*TALLIES, *COUNTS, "longest_gap_ns"}
    assert TALLIES == ("pauses", "suspends", "clock_steps", "outages")
    assert COUNTS == ("interrupted", "broken", "blank", "identical", "resized")


def test_a_tally_counts_sums_and_keeps_the_longest() -> None:
    tally = Tally().with_one(3).with_one(-8).with_one(5)
    assert tally == Tally(3, 0, -8)
    assert tally.merged(Tally(2, 20, 11)) == Tally(5, 20, 11)


def test_incidents_of_two_intervals_add_up() -> None:
    a = Incidents(pauses=Tally(1, 5, 5), broken=2, blank=1, longest_gap_ns=9)
    b = Incidents(pauses=Tally(2, 5, 3), suspends=Tally(1, 7, 7), blank=4, longest_gap_ns=4)
    assert a.merged(b) == Incidents(
        pauses=Tally(3, 10, 5), suspends=Tally(1, 7, 7), broken=2, blank=5, longest_gap_ns=9
    )
    assert a.merged(NOTHING) == NOTHING.merged(a) == a


def test_only_what_happened_is_written() -> None:
    assert NOTHING.to_json() == {}
    # The rest of an outage that began in the interval before.
    ending = Incidents(outages=Tally(0, 4, 9), resized=1).to_json()
    assert ending == {"outages": {"count": 0, "total_ns": 4, "longest_ns": 9}, "resized": 1}
