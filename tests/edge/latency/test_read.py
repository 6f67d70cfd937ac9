from __future__ import annotations

import base64
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.latency import hdr
from edge.latency.fields import MAX_LINE_BYTES, MAX_TEXT
from edge.latency.histogram import Histogram, Layout
from edge.latency.incidents import NOTHING, Incidents, Tally
from edge.latency.log_lines import LogError
from edge.latency.read import LatencyLog, is_log, read_log, read_runs
from edge.latency.recorder import STAGES
from tests.edge.latency.logs import HEADER, intervals, other_run, write_log

Lines = list[dict[str, Any]]
# Hypothesis runs a test many times in one temporary folder: each run writes its file anew.
REUSED_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "run.jsonl"
    return write_log(path, (12, 0, 9), trace=True).read_bytes()


def read_bytes(folder: Path, data: bytes) -> LatencyLog:
    path = folder / "log.jsonl"
    path.write_bytes(data)
    return read_log(path)


def edited(folder: Path, whole: bytes, edit: Callable[[Lines], object]) -> LatencyLog:
    """Read the log after `edit` has changed its lines."""
    lines = [json.loads(line) for line in whole.splitlines()]
    edit(lines)
    return read_bytes(folder, "".join(json.dumps(line) + "\n" for line in lines).encode())


def test_what_was_written_is_read(tmp_path: Path, whole: bytes) -> None:
    taken, run = intervals((12, 0, 9))
    log = read_bytes(tmp_path, whole)
    assert (log.run, log.part, log.reason) == (HEADER, 1, "duration reached")
    assert log.problems == []
    for read, interval in zip(log.intervals, taken, strict=True):
        for name in ("start_ns", "end_ns", "captured", "processed", "skipped"):
            assert getattr(read, name) == getattr(interval, name)
        for stage, histogram in interval.histograms.items():
            stats = read.stages[stage]
            assert (stats.count, stats.min_ns) == (histogram.count, histogram.min_ns)
            assert (stats.p999_ns, stats.max_ns) == (histogram.percentile(99.9), histogram.max_ns)
    for stage in STAGES:
        assert (log.histograms[stage].counts == run.histograms[stage].counts).all()
        assert log.histograms[stage].max_ns == run.histograms[stage].max_ns


@REUSED_FOLDER
@given(data=st.data())
def test_a_log_cut_off_at_any_byte_reads(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(whole)))
    cut = whole[:size]
    if size < whole.index(b"\n"):
        with pytest.raises(LogError, match="is not a latency log"):
            read_bytes(tmp_path, cut)
        return
    log = read_bytes(tmp_path, cut)
    kinds = _complete(cut)
    assert len(log.intervals) == kinds.count("interval")
    assert (log.reason is not None) == ("summary" in kinds)
    is_whole_lines = cut.endswith(b"\n") or len(kinds) == len(cut.splitlines())
    assert len(log.problems) == (0 if is_whole_lines else 1)
    assert all("is cut off" in problem for problem in log.problems)


def _complete(cut: bytes) -> list[str]:
    """Return the kinds of the lines whose last brace is there; their newline may be missing."""
    complete = [line for line in (cut + b"\n").splitlines() if line.endswith(b"}")]
    return [json.loads(line)["kind"] for line in complete if _is_json(line)]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


@REUSED_FOLDER
@given(data=st.data())
def test_what_follows_a_cut_log_reads_whole(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    """Power is lost at any byte, twice, and the board starts again each time."""
    path = tmp_path / "run.jsonl"
    first_line = whole.index(b"\n")
    path.write_bytes(b"")
    expected = 0
    for cut in data.draw(st.lists(st.integers(first_line, len(whole)), min_size=2, max_size=2)):
        before = path.read_bytes()
        write_log(path, (12, 0, 9), trace=True, header=HEADER)
        joint = b"" if before[-1:] in (b"", b"\n") else b"\n"
        assert path.read_bytes() == before + joint + whole
        path.write_bytes(before + joint + whole[:cut])
        expected += _complete(whole[:cut]).count("interval")
    write_log(path, (12, 0, 9), trace=True, header=other_run())
    runs = read_runs(path)
    assert [log.run for log in runs] == [HEADER, HEADER, other_run()]
    assert sum(len(log.intervals) for log in runs[:2]) == expected
    assert (len(runs[2].intervals), runs[2].problems) == (3, [])


@REUSED_FOLDER
@given(data=st.data())
def test_a_damaged_log_reads_or_is_refused(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        log = read_bytes(tmp_path, bytes(damaged))
    except LogError:
        return
    assert len(log.intervals) <= 3
    for stage in STAGES:
        total = sum(interval.stages[stage].count for interval in log.intervals)
        assert log.histograms[stage].count == total


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\n", "not JSON"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not JSON"),
        (b"[1, 2]\n", "not a JSON object"),
        (b'{"a": NaN}\n', "not JSON"),
        (b'{"kind": "interval"}\n', "first line is not of kind 'run'"),
        (b'{"kind": "run", "format": 3}\n', "format is 3, this version reads 1, 2"),
        (b'{"kind": "run", "format": "\\u001b[31m"}\n', "format is \ufffd"),
        (b'{"kind": "run", "format": 1}\n', "a text is missing"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b"1" * 10_000 + b"\n", "not JSON"),
        (b"x" * (MAX_LINE_BYTES + 2), "longer than"),
    ],
)
def test_another_file_gets_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(LogError, match=message) as caught:
        read_bytes(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path))
    assert "edge-live --log" in str(caught.value)


def test_a_log_is_known_by_its_first_line(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a"
    assert not is_log(path)
    assert not is_log(tmp_path)
    for content in (b"", b"<html>", b'{"kind": "interval"}\n', b"x" * (MAX_LINE_BYTES + 2)):
        path.write_bytes(content)
        assert not is_log(path)
    for content in (whole, whole[:5000], b'{"kind": "run", "format": 99}\n'):
        path.write_bytes(content)
        assert is_log(path)


def _set(*keys: int | str, value: object) -> Callable[[Lines], None]:
    def edit(lines: Lines) -> None:
        place: Any = lines
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return edit


FOREIGN = base64.b64encode(hdr.encode(Histogram(Layout(1, 1000, 2)))).decode()
INTERVAL, TRACE = 1, 2


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set(INTERVAL, "captured", value=-1), "'captured' is not a whole number"),
        (_set(INTERVAL, "captured", value=True), "'captured' is not a whole number"),
        (_set(INTERVAL, "captured", value=1.5), "'captured' is not a whole number"),
        (_set(INTERVAL, "captured", value=10**30), "'captured' is not a whole number"),
        (_set(INTERVAL, "processed", value=13), "as many frames as were processed"),
        (_set(INTERVAL, "end_ns", value=0), "ends before it starts"),
        (_set(INTERVAL, "stages", value={}), "'stages' does not hold capture"),
        (_set(INTERVAL, "stages", "age", value=[]), "stage age has no histogram"),
        (_set(INTERVAL, "stages", "age", "histogram", value="%%"), "not base64"),
        (_set(INTERVAL, "stages", "age", "histogram", value="é"), "not base64"),
        (_set(INTERVAL, "stages", "age", "histogram", value="AAAA"), "cut off"),
        (_set(INTERVAL, "stages", "age", "histogram", value=FOREIGN), "with 2 digits"),
        (_set(INTERVAL, "stages", "age", "max", value=1), "min and max of stage age"),
        (_set(INTERVAL, "stages", "age", "negative", value=99), "'negative' is not"),
        (_set(INTERVAL, "health", value=None), "'health' is not an object"),
        (_set(INTERVAL, "health", "temperature_c", value="hot"), "'temperature_c' is not a number"),
        (_set(INTERVAL, "health", "temperature_c", value=10**400), "'temperature_c' is not"),
        (_set(INTERVAL, "health", "throttled", value=1), "'throttled' is not a list"),
        (_set(INTERVAL, "health", "throttled", value=[1]), "a text is missing"),
        (_set(INTERVAL, "health", "throttled_since_boot", value=1), "since_boot' is not a list"),
        (_set(INTERVAL, "incidents", value=[]), "'incidents' is not an object"),
        (_set(INTERVAL, "incidents", value={"pauses": 1}), "'pauses' is not an object"),
        (_set(INTERVAL, "incidents", value={"pauses": {}}), "'total_ns' is not a whole"),
        (_set(INTERVAL, "incidents", value={"blank": -1}), "'blank' is not a whole number"),
        (_set(INTERVAL, "incidents", value={"longest_gap_ns": 1 << 63}), "'longest_gap_ns' is"),
        (_set(INTERVAL, "kind", value="\x1b[2J"), "kind '\ufffd.2J' is unknown"),
        (_set(INTERVAL, value=[]), "not a JSON object"),
        (_set(TRACE, "rows", value=3), "a trace without rows"),
    ],
)
def test_a_bad_line_is_a_problem_and_the_rest_counts(
    tmp_path: Path, whole: bytes, edit: Callable[[Lines], None], message: str
) -> None:
    log = edited(tmp_path, whole, edit)
    assert len(log.problems) == 1
    assert re.search(message, log.problems[0])
    lost = 0 if "trace" in message else 1
    assert len(log.intervals) == 3 - lost
    assert log.histograms["age"].count == sum(i.stages["age"].count for i in log.intervals)
    assert log.reason == "duration reached"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", 3),
        ("model", "x" * 5000),
        ("threads", "two"),
        ("interval_s", None),
        ("board", []),
        ("board", {"a": 1}),
        ("camera", None),
        ("versions", {str(n): "" for n in range(1000)}),
        ("part", -1),
        ("part", 0),
    ],
)
def test_a_bad_run_line_is_refused(tmp_path: Path, whole: bytes, key: str, value: object) -> None:
    with pytest.raises(LogError, match="is not a latency log"):
        edited(tmp_path, whole, _set(0, key, value=value))


def test_texts_cannot_command_a_terminal(tmp_path: Path, whole: bytes) -> None:
    def edit(lines: Lines) -> None:
        lines[0]["card"] = "\x1b[31mred\r\nnext\u202e"
        lines[-1]["reason"] = "\ud800"

    log = edited(tmp_path, whole, edit)
    assert log.run.card == "\ufffd[31mred\ufffd\ufffdnext\ufffd"
    assert log.reason == "\ufffd"


def test_many_bad_lines_do_not_fill_the_report(tmp_path: Path, whole: bytes) -> None:
    log = read_bytes(tmp_path, whole + b"{}\n" * 500)
    assert len(log.problems) == 21
    assert log.problems[-1] == "480 more lines cannot be read"
    assert len(log.intervals) == 3


@pytest.mark.parametrize(("limit", "problems"), [(5, 1), (6, 0)])
def test_lines_beyond_the_limit_are_a_problem(
    limit: int, problems: int, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert whole.count(b"\n") == 1 + 6
    monkeypatch.setattr("edge.latency.read.MAX_LINES", limit)
    log = read_bytes(tmp_path, whole)
    assert log.problems == ["what follows its first 6 lines is not read"] * problems
    assert (log.reason is None) == (problems == 1)


def test_a_long_reason_is_a_reason(tmp_path: Path, whole: bytes) -> None:
    log = edited(tmp_path, whole, _set(-1, "reason", value="error: " + "x" * 5000))
    assert log.problems == []
    assert log.reason == "error: " + "x" * (MAX_TEXT - 7)


def test_an_overlong_line_is_one_problem(tmp_path: Path, whole: bytes) -> None:
    first, rest = whole.split(b"\n", 1)
    log = read_bytes(tmp_path, first + b"\n" + b"x" * (3 * MAX_LINE_BYTES) + b"\n" + rest)
    assert len(log.problems) == 1
    assert "longer than" in log.problems[0]
    assert len(log.intervals) == 3


def test_a_log_of_before_the_camera_was_described_still_reads(tmp_path: Path, whole: bytes) -> None:
    def forget(lines: Lines) -> None:
        del lines[0]["camera"]

    assert edited(tmp_path, whole, forget).run.camera == {}


def test_a_board_that_knows_nothing_is_read_as_such(tmp_path: Path) -> None:
    log = read_log(write_log(tmp_path / "run.jsonl", health={}))
    assert {(i.temperature_c, i.throttled) for i in log.intervals} == {(None, None)}


def test_incidents_are_read_and_those_of_tomorrow_are_left(tmp_path: Path, whole: bytes) -> None:
    befell = Incidents(
        pauses=Tally(2, 5, 3), clock_steps=Tally(1, -9, -9), interrupted=1, longest_gap_ns=7
    )
    path = write_log(tmp_path / "run.jsonl", (12, 9), incidents=[befell, NOTHING])
    assert [i.incidents for i in read_log(path).intervals] == [befell, NOTHING]
    log = edited(tmp_path, whole, _set(1, "incidents", value={"sunspots": [1], "blank": 2}))
    assert (log.problems, log.intervals[0].incidents) == ([], Incidents(blank=2))


def test_a_log_of_format_1_still_reads(tmp_path: Path, whole: bytes) -> None:
    def age(lines: Lines) -> None:
        lines[0]["format"] = 1
        for line in lines:
            line.pop("incidents", None)

    log = edited(tmp_path, whole, age)
    assert (log.problems, len(log.intervals), log.reason) == ([], 3, "duration reached")
    assert {interval.incidents for interval in log.intervals} == {NOTHING}


def test_a_run_line_that_cannot_be_read_is_a_problem(tmp_path: Path, whole: bytes) -> None:
    foreign = whole.replace(b'"format":2', b'"format":9', 1)
    runs = read_bytes_of_runs(tmp_path, whole + foreign)
    assert len(runs) == 1
    assert "its format is 9" in runs[0].problems[0]


def test_many_short_runs_take_little_memory(tmp_path: Path) -> None:
    short = write_log(tmp_path / "short.jsonl", (2,), reason=None).read_bytes()
    tracemalloc.start()
    try:
        runs = read_bytes_of_runs(tmp_path, short * 200)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(runs) == 200
    # With all their buckets they would hold 1.6 MB each.
    assert peak < 30_000_000


def read_bytes_of_runs(folder: Path, data: bytes) -> list[LatencyLog]:
    path = folder / "log.jsonl"
    path.write_bytes(data)
    return read_runs(path)
