from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.latency import describe
from edge.latency.compare import compare
from edge.latency.log import LogWriter
from edge.latency.log_lines import LogError
from edge.latency.read import read_log
from edge.latency.recorder import STAGES
from edge.latency.summary import Summary, summarize
from tests.edge.latency.logs import HEADER, SECOND, intervals, other_run, write_log


def of(*paths: Path) -> Summary:
    return summarize([read_log(path) for path in paths])


def test_one_log(tmp_path: Path) -> None:
    _, run = intervals((40, 30, 50))
    summary = of(write_log(tmp_path / "a", (40, 30, 50)))
    assert (summary.captured, summary.processed, summary.skipped) == (123, 120, 3)
    assert summary.measured_ns == 30 * SECOND
    assert summary.frames_per_second == 4.0
    assert summary.temperature_c == (51.5, 51.5)
    assert summary.throttled_intervals == 0
    for stage in STAGES:
        stats, histogram = summary.stages[stage], run.histograms[stage]
        assert stats.count == 120
        assert (stats.min_ns, stats.max_ns) == (histogram.min_ns, histogram.max_ns)
        expected = histogram.percentiles((50, 90, 99, 99.9))
        assert (stats.p50_ns, stats.p90_ns, stats.p99_ns, stats.p999_ns) == expected


def test_logs_merge_without_loss(tmp_path: Path) -> None:
    a = write_log(tmp_path / "a", (40,))
    b = write_log(tmp_path / "b", (300, 5), header=other_run())
    alone = [of(a), of(b)]
    both = of(a, b)
    assert len(both.runs) == 2
    for stage in STAGES:
        counts = sum(summary.histograms[stage].counts for summary in alone)
        assert np.array_equal(both.histograms[stage].counts, counts)
    assert both.processed == 345
    assert both.measured_ns == 30 * SECOND
    assert [len(run.intervals) for run in both.runs] == [1, 2]


def test_a_run_without_a_summary_was_killed(tmp_path: Path) -> None:
    killed = of(write_log(tmp_path / "a", reason=None))
    assert killed.runs[0].was_killed
    assert killed.processed == 120
    assert not of(write_log(tmp_path / "b")).runs[0].was_killed


def test_frames_without_a_time_of_exposure_do_not_dilute_capture_and_age(tmp_path: Path) -> None:
    a = write_log(tmp_path / "a", (40,))
    b = write_log(tmp_path / "b", (300,), header=other_run(timestamps="arrival"))
    both, alone = of(a, b), of(b)
    assert (both.stages["age"].count, both.stages["total"].count) == (40, 340)
    assert both.shown_stages == STAGES
    assert "capture" not in alone.shown_stages
    assert "age" not in alone.shown_stages


def test_throttled_intervals_are_counted_and_named(tmp_path: Path) -> None:
    health = {"temperature_c": 80, "throttled": ["frequency capped", "under-voltage"]}
    a = write_log(tmp_path / "a", (4, 5), health=health)
    b = write_log(tmp_path / "b", (6,), header=other_run(), health={"temperature_c": 40.0})
    summary = of(a, b)
    assert summary.throttled_intervals == 2
    assert summary.throttle_flags == ("frequency capped", "under-voltage")
    assert summary.temperature_c == (40.0, 80.0)
    unknown = of(b)
    assert unknown.throttled_intervals is None


def flags_of(path: Path, healths: list[dict[str, list[str]]]) -> list[tuple[str, ...] | None]:
    """Return the flags of each interval of a run whose board said this at their ends."""
    taken, run = intervals((1,) * len(healths))
    # A part each, as flags are on over a rotation too.
    with LogWriter(path, HEADER, max_bytes=10, keep=10) as writer:
        for interval, health in zip(taken, healths, strict=True):
            writer.interval(interval, health)
        writer.close(run, "done")
    return [i.throttled for i in of(*path.parent.glob(f"{path.name}*")).intervals]


def test_a_flag_that_came_and_went_between_two_checks_counts(tmp_path: Path) -> None:
    def said(now: str, since_boot: str) -> dict[str, list[str]]:
        return {"throttled": now.split(), "throttled_since_boot": since_boot.split()}

    # What was on before the first check is not this run's; a new one counts once.
    healths = [said("", "a"), said("", "a"), said("", "a b"), said("", "a b"), said("a", "a b")]
    assert flags_of(tmp_path / "a", healths) == [(), (), ("b",), (), ("a",)]
    # What is on now is there since boot as well; a check without an answer loses nothing.
    healths = [said("", ""), said("b", "b"), {}, said("c", "a b c")]
    assert flags_of(tmp_path / "b", healths) == [(), ("b",), None, ("c", "a")]
    assert flags_of(tmp_path / "c", [said("", "a"), {}]) == [(), None]


def test_what_was_not_seen_is_not_called_never(tmp_path: Path) -> None:
    health = {"throttled": [], "throttled_since_boot": ["throttled"]}
    summary = of(write_log(tmp_path / "a", (4, 5), health=health))
    assert (summary.throttled_intervals, summary.throttle_checks) == (0, 2)
    assert describe.throttling(summary) == "not throttled at any of 2 checks"
    assert describe.throttling(of(write_log(tmp_path / "b", health={}))) == "throttling not known"


def test_one_log_given_twice_is_refused(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a")
    with pytest.raises(LogError, match="are the same log; give it once"):
        of(path, path)
    with pytest.raises(LogError, match="at least one"):
        of()


def test_a_log_without_intervals_is_empty_and_not_an_error(tmp_path: Path) -> None:
    summary = of(write_log(tmp_path / "a", ()))
    assert (summary.processed, summary.frames_per_second, summary.intervals) == (0, 0.0, ())
    assert summary.runs[0].header == HEADER


def test_a_comparison_gives_the_ratios_of_b_to_a(tmp_path: Path) -> None:
    a = of(write_log(tmp_path / "a", (400,)))
    b = of(write_log(tmp_path / "b", (40,), header=other_run(timestamps="arrival")))
    comparison = compare(a, b)
    names = [stage.name for stage in comparison.stages]
    assert names == ["queue", "preprocess", "inference", "postprocess", "total"]
    total = comparison.stages[-1]
    assert total.p50_ratio == b.stages["total"].p50_ns / a.stages["total"].p50_ns
    assert total.p99_ratio == b.stages["total"].p99_ns / a.stages["total"].p99_ns
    assert {stage.p50_ratio for stage in compare(a, a).stages} == {1.0}


def test_there_is_no_ratio_to_nothing(tmp_path: Path) -> None:
    a, empty = of(write_log(tmp_path / "a")), of(write_log(tmp_path / "b", (), header=other_run()))
    for comparison in (compare(a, empty), compare(empty, a)):
        assert {(stage.p50_ratio, stage.p99_ratio) for stage in comparison.stages} == {(None, None)}
