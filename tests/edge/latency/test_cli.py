from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.latency import plots
from edge.latency.cli import main
from tests.edge.latency.logs import other_run, write_log


def test_the_report_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write_log(tmp_path / "a"))]) == 0
    printed = capsys.readouterr()
    assert "inference" in printed.out
    assert printed.err == ""


def test_page_and_picture_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Drawing has tests of its own, and takes a second.
    monkeypatch.setattr(plots, "svg", lambda _plot, _summary: "<svg></svg>")
    monkeypatch.setattr(
        plots, "write_png", lambda _summary, heading, path: path.write_text(heading)
    )
    log, page, picture = (tmp_path / name for name in ("a", "a.html", "a.png"))
    write_log(log)
    assert main([str(log), "--html", str(page), "--png", str(picture)]) == 0
    assert page.read_text().startswith("<!doctype html>")
    assert picture.read_text().startswith("digits · litert 2.1 · 2 threads")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.html", "a.png"]
    assert capsys.readouterr().err == f"written: {page}\nwritten: {picture}\n"


def test_several_logs_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write_log(tmp_path / "a", (40,))
    b = write_log(tmp_path / "b", (2,), header=other_run())
    assert main([str(a), str(b), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (len(data["runs"]), data["processed"]) == (2, 42)


def test_the_last_of_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path / "a", (40,))
    later = "2026-03-02T10:00:00+00:00"
    write_log(log, (2, 3), header=other_run(started=later))
    b = write_log(tmp_path / "b", (5,), header=other_run(started="2026-03-02T09:20:00+00:00"))
    for arguments, processed in (
        ([log], 45),
        ([log, "--last"], 5),
        ([log, b], 50),
        ([log, b, "--last"], 5),
    ):
        assert main([*map(str, arguments), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["processed"] == processed
    assert main(["--compare", str(log), str(b), "--last", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["a"]["processed"] == 5


def test_two_logs_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(write_log(tmp_path / name, (40,))) for name in "ab"]
    assert main(["--compare", *paths]) == 0
    assert "B/A" in capsys.readouterr().out
    assert main(["--compare", *paths, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ratios"]["age"] == {"p50": 1.0, "p99": 1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: No such file"),
        (["."], ".: Is a directory"),
        (["picture"], "picture is not a latency log"),
        (["log", "log"], "the same log"),
        (["log", "--html", "nowhere/a.html"], "nowhere/a.html: No such file"),
        (["log", "--png", "nowhere/a.png"], "nowhere/a.png: No such file"),
        (["empty", "--png", "a.png"], "nothing to plot"),
        (["--html", "log", "empty"], "log is a latency log, and no report may replace it"),
        (["log", "--png", "empty"], "empty is a latency log"),
        ([], "give at least one LOG"),
        (["log", "--compare", "log", "log"], "--compare takes two logs"),
        (["--compare", "log", "log", "--html", "a.html"], "--compare takes two logs"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    write_log(tmp_path / "log")
    write_log(tmp_path / "empty", ())
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n")
    before = sorted(os.listdir(tmp_path))  # noqa: PTH208 - names are what is compared
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as usage:  # argparse's own way out
        status = int(str(usage.code))
    printed = capsys.readouterr()
    assert status == 2
    assert printed.err.splitlines()[-1].startswith("edge-report: error: ")
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert sorted(os.listdir(tmp_path)) == before  # noqa: PTH208


def test_a_report_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    page, picture = tmp_path / "a.html", tmp_path / "a.png"
    for path in (page, picture):
        path.write_text("before")
    empty = write_log(tmp_path / "empty", ())
    (tmp_path / "bad").write_text("x")
    assert main([str(tmp_path / "bad"), "--html", str(page)]) == 2
    assert main([str(empty), "--png", str(picture)]) == 2
    assert {path.read_text() for path in (page, picture)} == {"before"}


def test_a_name_that_is_no_text_is_no_bug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "svg", lambda _plot, _summary: "<svg></svg>")
    log = write_log(tmp_path / os.fsdecode(b"caf\xe9\x9b.jsonl"))
    log.write_bytes(log.read_bytes() + b'{"kind": "inte')
    page = tmp_path / "a.html"
    assert main([str(log), "--html", str(page)]) == 0
    assert "caf\ufffd\ufffd.jsonl: line 6 is cut off" in page.read_text()
    assert "caf\ufffd\ufffd.jsonl" in capsys.readouterr().out
    assert main([str(log), "--json"]) == 0
    assert capsys.readouterr().out.isascii()


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "edge-report --compare" in capsys.readouterr().out
