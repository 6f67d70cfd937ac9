from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.latency.read import read_log
from edge.latency.summary import Summary, summarize
from edge.latency.timeline import timeline
from tests.edge.latency.logs import MS, other_run, write_log


def of(*paths: Path) -> Summary:
    return summarize([read_log(path) for path in paths])


def test_each_interval_is_a_column(tmp_path: Path) -> None:
    summary = of(write_log(tmp_path / "a", (40, 0, 20), health={"temperature_c": 60}))
    times = timeline(summary)
    assert (times.start.tolist(), times.end.tolist()) == ([0, 10, 20], [10, 20, 30])
    assert (times.unit, times.grouped) == ("s", 1)
    assert times.per_second(lambda interval: interval.processed).tolist() == [4.0, 0.0, 2.0]
    assert times.temperature_c().tolist() == [60, 60, 60]
    p50 = times.p50_ms("total")
    assert np.isnan(p50[1])  # no frame: a gap, not a zero
    assert p50[0] == summary.intervals[0].stages["total"].p50_ns / MS


def test_runs_follow_each_other(tmp_path: Path) -> None:
    a = write_log(tmp_path / "a", (4, 5))
    b = write_log(tmp_path / "b", (6,), header=other_run(), health={"throttled": ["throttled"]})
    times = timeline(of(a, b))
    assert times.start.tolist() == [0, 10, 20]
    assert times.throttled() == [False, False, True]
    assert np.isnan(times.temperature_c()[2])


def test_long_logs_are_grouped_and_keep_their_spikes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.latency.timeline.MAX_COLUMNS", 10)
    summary = of(write_log(tmp_path / "a", (2,) * 22))
    times = timeline(summary)
    assert (times.grouped, times.unit) == (3, "min")
    assert [len(group) for group in times.groups] == [3] * 7 + [1]
    assert times.end[-1] == pytest.approx(220 / 60)
    highest = max(interval.stages["total"].p99_ns for interval in summary.intervals)
    assert times.p99_ms("total").max() == pytest.approx(highest / MS)
    first = [interval.stages["total"].p50_ns / MS for interval in summary.intervals[:3]]
    assert times.p50_ms("total")[0] == pytest.approx(sorted(first)[1])
    assert times.per_second(lambda interval: interval.processed) == pytest.approx(0.2)
