from __future__ import annotations

import errno
import fcntl
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram

from edge.latency.incidents import NOTHING, Incidents, Tally
from edge.latency.log import LogWriter
from edge.latency.log_lines import LogError
from edge.latency.read import read_log, read_runs
from edge.latency.recorder import STAGES, STAMPS, Interval
from edge.latency.summary import summarize
from tests.edge.latency.logs import HEADER, SECOND, intervals, other_run, write_log


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_log_is_a_run_its_intervals_and_a_summary(tmp_path: Path) -> None:
    log = lines(write_log(tmp_path / "run.jsonl", (40, 30)))
    assert [line["kind"] for line in log] == ["run", "interval", "interval", "summary"]
    assert log[0]["card"] == "digits"
    assert log[0]["board"] == {"model": "Raspberry Pi 5"}
    assert (log[1]["captured"], log[1]["processed"], log[1]["skipped"]) == (41, 40, 1)
    assert log[1]["health"] == {"temperature_c": 51.5, "throttled": []}
    assert (log[3]["processed"], log[3]["reason"]) == (70, "duration reached")


def test_other_tools_read_the_histograms(tmp_path: Path) -> None:
    (interval,), _ = intervals((200,))
    log = lines(write_log(tmp_path / "run.jsonl", (200,)))
    for stage in STAGES:
        written = log[1]["stages"][stage]
        oracle = HdrHistogram.decode(written["histogram"])
        assert oracle.get_total_count() == written["count"] == 200
        assert oracle.values_are_equivalent(oracle.get_max_value(), written["max"])
        assert written["min"] == interval.histograms[stage].min_ns
        for name, percent in (("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9)):
            assert written[name] == interval.histograms[stage].percentile(percent)


def test_an_interval_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []

    class Counting(io.FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            writes.append(len(data))
            return super().write(data)

    monkeypatch.setattr("edge.latency.log_file.io.FileIO", Counting)
    write_log(tmp_path / "run.jsonl", (3, 4, 5), trace=True)
    assert len(writes) == 1 + 3 + 1
    assert sum(writes) == (tmp_path / "run.jsonl").stat().st_size


def test_traces_hold_every_frame(tmp_path: Path) -> None:
    (interval,), _ = intervals((2300,), trace=True)
    log = lines(write_log(tmp_path / "run.jsonl", (2300,), trace=True))
    traces = [line for line in log if line["kind"] == "trace"]
    assert [len(trace["rows"]) for trace in traces] == [1000, 1000, 300]
    assert traces[0]["columns"] == [f"{stamp}_ns" for stamp in STAMPS]
    assert [row for trace in traces for row in trace["rows"]] == interval.trace.tolist()


def write_parts(path: Path, counts: tuple[int, ...], keep: int) -> tuple[list[Interval], Interval]:
    taken, run = intervals(counts)
    with LogWriter(path, HEADER, max_bytes=12_000, keep=keep) as writer:
        for interval in taken:
            writer.interval(interval, {})
        writer.close(run, "done")
    return taken, run


def test_a_rotated_log_reads_part_by_part_and_whole(tmp_path: Path) -> None:
    _, run = write_parts(tmp_path / "run.jsonl", (40,) * 12, keep=20)
    logs = [read_log(path) for path in sorted(tmp_path.iterdir())]
    assert len(logs) > 3
    assert all(log.run == HEADER and not log.problems for log in logs)
    assert all(log.intervals or log.reason == "done" for log in logs)
    assert all(path.stat().st_size <= 12_000 for path in tmp_path.iterdir())
    summary = summarize(logs)
    assert (summary.processed, summary.captured) == (run.processed, run.captured)
    assert summary.runs[0].missing_parts == 0
    starts = [interval.start_ns for interval in summary.intervals]
    assert starts == sorted(starts)
    for stage in STAGES:
        assert (summary.histograms[stage].counts == run.histograms[stage].counts).all()


def test_a_rotated_log_keeps_so_many_parts_and_says_what_is_gone(tmp_path: Path) -> None:
    write_parts(tmp_path / "run.jsonl", (40,) * 12, keep=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["run.jsonl", "run.jsonl.1", "run.jsonl.2"]
    logs = [read_log(tmp_path / name) for name in names]
    assert [log.part for log in logs] == sorted((log.part for log in logs), reverse=True)
    assert summarize(logs).runs[0].missing_parts == logs[0].part - 3 > 0


def test_a_line_longer_than_a_part_is_written_all_the_same(tmp_path: Path) -> None:
    (interval,), run = intervals((40,))
    with LogWriter(tmp_path / "run.jsonl", HEADER, max_bytes=10) as writer:
        writer.interval(interval, {})
        writer.close(run, "done")
    assert read_log(tmp_path / "run.jsonl.1").intervals[0].processed == 40
    assert read_log(tmp_path / "run.jsonl").reason == "done"


def test_a_log_is_continued_by_the_next_run(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run.jsonl", (40,))
    before = path.read_bytes()
    write_log(path, (30, 20), header=other_run(), reason=None)
    assert path.read_bytes().startswith(before)
    assert [file.name for file in tmp_path.iterdir()] == ["run.jsonl"]
    first, second = read_runs(path)
    assert (first.run, [i.processed for i in first.intervals]) == (HEADER, [40])
    assert (second.run, [i.processed for i in second.intervals]) == (other_run(), [30, 20])
    assert (first.reason, second.reason) == ("duration reached", None)
    assert (first.part, second.part) == (1, 1)
    assert (first.problems, second.problems) == ([], [])


def test_a_service_that_is_started_for_ever_keeps_the_logs_of_better_days(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run.jsonl", (40, 30, 50))
    good = path.read_bytes()
    for number in range(200):  # each is lost at once: a run line and a summary
        header = other_run(started=f"2026-03-03T00:00:00+00:00 {number}")
        with LogWriter(path, header, max_bytes=200_000) as writer:
            writer.close(intervals(())[1], "error: no frame for 60 s")
    every = [read_runs(file) for file in tmp_path.iterdir()]
    assert len(every) <= 4
    assert sum(map(len, every)) == 201
    oldest = max(tmp_path.iterdir(), key=lambda file: file.name)
    assert oldest.read_bytes().startswith(good)


def test_a_full_log_is_rotated_by_the_next_run(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run.jsonl", (40,))
    before = path.read_bytes()
    with LogWriter(path, other_run(), max_bytes=len(before) + 100):
        pass
    assert (tmp_path / "run.jsonl.1").read_bytes() == before
    assert read_log(path).run == other_run()


def test_parts_of_a_continued_log_find_each_other(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run.jsonl", (40,))
    taken, run = intervals((40,) * 8)
    with LogWriter(path, other_run(), max_bytes=12_000, keep=20) as writer:
        for interval in taken:
            writer.interval(interval, {})
        writer.close(run, "done")
    files = list(tmp_path.iterdir())
    assert len(files) > 2
    summary = summarize([log for file in files for log in read_runs(file)])
    assert [(r.header, len(r.intervals), r.missing_parts) for r in summary.runs] == [
        (HEADER, 1, 0),
        (other_run(), 8, 0),
    ]
    for stage in STAGES:
        counts = run.histograms[stage].counts + intervals((40,))[1].histograms[stage].counts
        assert (summary.histograms[stage].counts == counts).all()


@pytest.mark.parametrize("content", [b"notes of mine\n", b'{"kind":"run","format":1,"part":1}\n'])
def test_what_cannot_be_continued_is_moved_away(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    write_log(path, (30,))
    assert (tmp_path / "run.jsonl.1").read_bytes() == content
    assert [log.run for log in read_runs(path)] == [HEADER]


def test_a_log_that_another_run_still_writes_is_not_written_by_two(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30, 20))
    with LogWriter(path, HEADER) as first:
        first.interval(taken[0], {})
        with LogWriter(path, other_run()) as second:
            second.interval(taken[1], {})
            first.interval(taken[2], {})
            second.close(run, "second")
        first.close(run, "first")
    found = {read_log(file).reason: read_runs(file) for file in tmp_path.iterdir()}
    assert {reason: len(runs) for reason, runs in found.items()} == {"first": 1, "second": 1}
    assert [i.processed for i in found["first"][0].intervals] == [40, 20]
    # The lock goes with the writer: the next run follows the second one.
    write_log(path, (30,), header=other_run(card="third"))
    assert len(read_runs(path)) == 2


def test_without_locks_a_log_is_continued_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    path = write_log(tmp_path / "run.jsonl", (40,))
    write_log(path, (30,), header=other_run())
    assert len(read_runs(path)) == 2


def test_a_log_that_is_deleted_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30))
    with LogWriter(path, HEADER) as writer:
        writer.interval(taken[0], {})
        path.unlink()
        writer.interval(taken[1], {})
        writer.close(run, "done")
    summary = summarize(read_runs(path))
    assert (summary.processed, summary.runs[0].reason) == (30, "done")
    assert summary.runs[0].missing_parts == 1


def test_incidents_are_written_where_there_are_some(tmp_path: Path) -> None:
    befell = Incidents(pauses=Tally(2, 5 * SECOND, 3 * SECOND), interrupted=1, longest_gap_ns=7)
    log = lines(write_log(tmp_path / "run.jsonl", (40, 30), incidents=[NOTHING, befell]))
    assert [line.get("incidents") for line in log[1:]] == [
        {},
        *[
            {
                "pauses": {"count": 2, "total_ns": 5 * SECOND, "longest_ns": 3 * SECOND},
                "interrupted": 1,
                "longest_gap_ns": 7,
            }
        ]
        * 2,  # the interval, and the run
    ]


class FullDisk(io.FileIO):
    """A file on a disk with `room` bytes left."""

    room = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if not FullDisk.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(data[: FullDisk.room])
        FullDisk.room -= written
        return written


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> type[FullDisk]:
    monkeypatch.setattr("edge.latency.log_file.io.FileIO", FullDisk)
    return FullDisk


def test_a_full_disk_costs_intervals_and_not_the_log(
    tmp_path: Path, full_disk: type[FullDisk]
) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30, 20, 10))
    full_disk.room = 10_000
    with LogWriter(path, HEADER) as writer:
        writer.interval(taken[0], {})
        full_disk.room = 700  # part of a line
        for interval in taken[1:3]:
            with pytest.raises(LogError, match=r"run\.jsonl: .*No space left on device.*make room"):
                writer.interval(interval, {})
            full_disk.room = 700
        assert [i.processed for i in read_log(path).intervals] == [40]
        full_disk.room = 100_000
        writer.interval(taken[3], {})
        writer.close(run, "done")
    log = read_log(path)
    assert [(i.processed, i.lost) for i in log.intervals] == [(40, 0), (10, 2)]
    assert not log.problems
    assert log.reason == "done"


def test_intervals_that_are_lost_at_the_end_are_counted(
    tmp_path: Path, full_disk: type[FullDisk]
) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30, 20))
    full_disk.room = 10_000
    with LogWriter(path, HEADER) as writer:
        writer.interval(taken[0], {})
        full_disk.room = 0
        for interval in taken[1:]:
            with pytest.raises(LogError, match="No space left"):
                writer.interval(interval, {})
        full_disk.room = 100_000
        writer.close(run, "done")
    summary = summarize([read_log(path)])
    assert (summary.processed, summary.lost_intervals, summary.runs[0].reason) == (40, 2, "done")


def test_a_disk_that_is_full_while_rotating_loses_no_part(
    tmp_path: Path, full_disk: type[FullDisk]
) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30, 20))
    full_disk.room = 100_000
    with LogWriter(path, HEADER, max_bytes=5_000) as writer:
        writer.interval(taken[0], {})
        full_disk.room = 10  # not even the run line of the next part
        with pytest.raises(LogError, match="No space left"):
            writer.interval(taken[1], {})
        full_disk.room = 100_000
        writer.interval(taken[2], {})
        full_disk.room = 0
        with pytest.raises(LogError, match="No space left"):
            writer.close(run, "done")
    assert not path.exists()
    parts = [read_log(tmp_path / name) for name in ("run.jsonl.2", "run.jsonl.1")]
    assert [[(i.processed, i.lost) for i in log.intervals] for log in parts] == [
        [(40, 0)],
        [(20, 1)],
    ]
    assert [log.part for log in parts] == [1, 2]


@pytest.mark.parametrize("fails_at", ["run.jsonl", "run.jsonl.1"])
def test_a_rotation_that_fails_loses_no_part(
    fails_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30, 20, 10))
    replace = Path.replace

    def fail(source: Path, target: Path) -> Path:
        if source.name == fails_at:
            raise OSError(errno.EIO, "Input/output error")
        return replace(source, target)

    with LogWriter(path, HEADER, max_bytes=3_000) as writer:
        writer.interval(taken[0], {})
        writer.interval(taken[1], {})
        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(LogError, match="Input/output error"):
            writer.interval(taken[2], {})
        monkeypatch.setattr(Path, "replace", replace)
        writer.interval(taken[3], {})
        writer.close(run, "done")
    logs = [read_log(file) for file in tmp_path.iterdir()]
    summary = summarize(logs)
    assert [(i.processed, i.lost) for i in summary.intervals] == [(40, 0), (30, 0), (10, 1)]
    assert summary.runs[0].missing_parts == 0


@pytest.mark.parametrize("continued", [True, False])
def test_a_disk_that_is_full_from_the_start_is_waited_for(
    continued: bool, tmp_path: Path, full_disk: type[FullDisk]
) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30))
    full_disk.room = 100_000
    if continued:
        write_log(path, (50,), header=other_run())
    before = path.read_bytes() if continued else None
    full_disk.room = 100
    with LogWriter(path, HEADER) as writer:
        assert "No space left" in str(writer.late)
        assert (path.read_bytes() if path.exists() else None) == before
        with pytest.raises(LogError, match="No space left"):
            writer.interval(taken[0], {})
        full_disk.room = 100_000
        writer.interval(taken[1], {})
        writer.close(run, "done")
    runs = read_runs(path)
    assert len(runs) == 1 + continued
    assert not any(log.problems for log in runs)
    assert [(i.processed, i.lost) for i in runs[-1].intervals] == [(30, 1)]


def test_half_a_line_that_cannot_be_taken_back_is_taken_back_later(
    tmp_path: Path, full_disk: type[FullDisk], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.jsonl"
    taken, run = intervals((40, 30))
    full_disk.room = 100_000
    with LogWriter(path, HEADER) as writer:
        full_disk.room = 700
        with monkeypatch.context() as patch:
            patch.setattr(FullDisk, "truncate", _refuse)
            with pytest.raises(LogError, match="No space left"):
                writer.interval(taken[0], {})
        assert path.read_bytes()[-1:] != b"\n"
        full_disk.room = 100_000
        writer.interval(taken[1], {})
        writer.close(run, "done")
    log = read_log(path)
    assert [(i.processed, i.lost) for i in log.intervals] == [(30, 1)]
    assert log.problems == []


def _refuse(*_: object) -> int:
    raise OSError(errno.EIO, "Input/output error")


def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"missing/run\.jsonl: .*No such file.*name another file"):
        LogWriter(tmp_path / "missing" / "run.jsonl", HEADER)
    with pytest.raises(LogError, match="is not a file"):
        LogWriter(tmp_path, HEADER)
