from __future__ import annotations

import time
from dataclasses import replace

import pytest

from edge.broadcast import view as view_module
from edge.broadcast import wire
from edge.device import Health
from edge.latency.incidents import NOTHING, Incidents, Tally
from edge.latency.recorder import STAGES
from tests.edge.broadcast.runs import frame, interval, packed, result, status, view


def test_a_view_holds_what_came() -> None:
    seen = view()
    assert seen.newest is not None
    assert (seen.newest.index, seen.newest.guesses[0]) == (3, ("class 3", 0.9))
    assert seen.lost_results == 4
    assert (seen.progress.processed, seen.progress.skipped) == (10, 2)
    seen.take(wire.Message(*packed(wire.interval_message(interval([4.0])))))
    assert [seen.histograms[stage].count for stage in STAGES] == [4] * len(STAGES)
    seen.take(wire.Message(*packed(wire.picture_message(frame(5), result(1, "<b>")))))  # type: ignore[arg-type]
    assert seen.picture is not None
    assert (seen.picture.guesses[0], seen.picture.shape) == (("<b>", 0.9), (48, 64, 3))
    seen.take(wire.Message("of a later version", {}))


def test_history_is_a_ring_of_numbered_rows() -> None:
    seen = view()
    for number in range(view_module.HISTORY_ROWS + 5):
        seen.take(wire.Message(*packed(wire.status_message(status(number), 0))))
    rows = seen.history(after=0)
    assert [row.number for row in rows] == list(range(7, view_module.HISTORY_ROWS + 7))
    assert rows[-1].processed == view_module.HISTORY_ROWS + 4
    assert rows[-1].temperature_c == 48.5
    assert [row.number for row in seen.history(rows[-2].number)] == [rows[-1].number]


def test_what_is_wrong_with_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert view(Health(40.0, 0)).problems() == ()
    seen = view()
    assert seen.problems() == ("the board says: under-voltage", "the board says: throttled")
    seen.take(wire.Message(*packed(wire.status_message(status(notice="it is blank"), 0))))
    assert seen.problems()[-1] == "it is blank"
    late_ns = time.monotonic_ns() + 11 * 10**9
    monkeypatch.setattr(time, "monotonic_ns", lambda: late_ns)
    assert view_module.STALE_S == 10
    assert seen.problems()[-2:] == ("it is blank", "no frame gets a label")
    # Of a camera that is lost there is nothing more to say.
    seen.take(wire.Message(*packed(wire.status_message(status(0, 0, 1, "no frame for 9 s"), 0))))
    assert seen.problems()[-1] == "no frame for 9 s"
    assert "no frame gets a label" not in seen.problems()
    seen.take(wire.Message(*packed(wire.status_message(status(), 0))))
    seen.take(wire.Message(*packed(wire.results_message([(late_ns, result(0))], 0))))
    assert "no frame gets a label" not in seen.problems()


LOST = Incidents(outages=Tally(1, 7 * 10**9, 7 * 10**9), longest_gap_ns=7 * 10**9)


def test_what_befell_a_run_is_told_once_and_in_all() -> None:
    seen = view()
    assert (seen.incidents, seen.marks(0)) == (NOTHING, [])
    for befell in (LOST, replace(LOST, longest_gap_ns=1)):
        seen.take(wire.Message(*packed(wire.interval_message(interval([1.0], befell)))))
    assert seen.marks(0) == []  # the next row brings them
    seen.take(wire.Message(*packed(wire.status_message(status(), 0))))
    row = seen.history(0)[-1].number
    assert [mark.incidents for mark in seen.marks(row - 1)] == [
        LOST,
        replace(LOST, longest_gap_ns=1),
    ]
    assert seen.marks(row) == []
    assert seen.incidents == LOST.merged(LOST)
    assert seen.since_ms is not None
