from __future__ import annotations

import time

import pytest

from edge.broadcast import view as view_module
from edge.broadcast import wire
from edge.device import Health
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
    seen.take(wire.Message(*packed(wire.status_message(status(outage_ns=1), 0))))
    assert seen.problems()[-1] == "the camera is lost"
    late_ns = time.monotonic_ns() + 11 * 10**9
    monkeypatch.setattr(time, "monotonic_ns", lambda: late_ns)
    assert view_module.STALE_S == 10
    assert "no frame gets a label" in seen.problems()
    seen.take(wire.Message(*packed(wire.results_message([(late_ns, result(0))], 0))))
    assert "no frame gets a label" not in seen.problems()
