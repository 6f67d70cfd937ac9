"""What the lab must notice; that it lets pass what is right is held beside each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.latency.incidents import Incidents, Tally
from edge.latency.log import LogWriter
from edge.latency.log_lines import RunHeader
from edge.latency.recorder import Recorder
from tests.edge.latency.logs import HEADER, SECOND, other_run, record_frames, write_log
from tests.pi_lab import judge
from tests.pi_lab.scenes import COLOURS, FRAMES_A_PICTURE, SQUARE, colour_card

DIGITS = ["3", "1", "4", "5", "9"]
LENGTH = FRAMES_A_PICTURE * len(DIGITS)


def results(numbers: range | list[int], earlier: int = 0) -> list[dict[str, Any]]:
    """Return the loop's lines for those frames; `earlier` ones were shown before number 0."""
    return [
        {
            "sequence": number,
            "guesses": [{"label": DIGITS[(number + earlier) % LENGTH // FRAMES_A_PICTURE]}],
        }
        for number in numbers
    ]


def test_labels_that_follow_the_pictures() -> None:
    assert judge.label_faults(results(range(200)), DIGITS) == []
    assert judge.label_faults(results(range(1, 200), earlier=3), DIGITS) == []
    # Frames that were skipped are known by their numbers.
    assert judge.label_faults(results([n for n in range(300) if n % 7 < 3]), DIGITS) == []


def test_labels_that_do_not() -> None:
    good = results(range(200))

    def faults(change: Callable[[list[dict[str, Any]]], object]) -> list[str]:
        lines = [dict(line) for line in good]
        change(lines)
        return judge.label_faults(lines, DIGITS)

    def mislabel(lines: list[dict[str, Any]], count: int) -> None:
        for line in lines[:count]:
            line["guesses"] = [{"label": "7"}]

    assert faults(lambda lines: mislabel(lines, 6)) == []
    [fault] = faults(lambda lines: mislabel(lines, 7))
    assert fault == "193 of 200 labels are right; wrong ones: {'7': 7}"
    assert judge.label_faults(good, DIGITS[::-1]) != []
    assert judge.label_faults(good, ["0"] * 5) != []
    # Skipped frames without a gap in the numbers: the labels run ahead of them.
    kept = [line for line in results(range(400)) if line["sequence"] % 7 < 3]
    for number, line in enumerate(kept):
        line["sequence"] = number
    assert judge.label_faults(kept, DIGITS) != []
    assert "do not rise" in faults(lambda lines: lines.reverse())[0]
    assert "19 frames" in judge.label_faults(good[:19], DIGITS)[0]


def test_colours() -> None:
    right = [list(colour) for row in COLOURS for colour in row]
    assert judge.colour_faults(right) == []
    assert judge.colour_faults([[abs(v - judge.TOLERANCE) for v in c] for c in right]) == []
    off = [[abs(v - judge.TOLERANCE - 1) for v in c] for c in right]
    assert len(judge.colour_faults(off)) == 6
    # Red and blue exchanged: only green and magenta stay.
    swapped = judge.colour_faults([colour[::-1] for colour in right])
    assert swapped[0] == "square 0 is (0, 0, 255), not (255, 0, 0)"
    assert len(swapped) == 4
    assert judge.colour_faults(right[:5]) == ["5 squares of 6"]


def test_the_card_is_as_the_camera_wants_it() -> None:
    card = colour_card()
    assert card.shape == (480, 640, 3)
    for row, colours in enumerate(COLOURS):
        for column, (r, g, b) in enumerate(colours):
            middle = card[SQUARE[0] * row + 120, SQUARE[1] * column + 106]
            assert middle.tolist() == [b, g, r]


CAMERA = {"stream": "main NV12 320x240, rows of 320 bytes", "libcamera": "v0.7.1"}
VERSIONS = {"picamera2": "0.3.38"}
COUNTS = (40, 30)


def judged(path: Path, header: RunHeader, reason: str | None = "70 frames", **told: int) -> str:
    write_log(path, COUNTS, header=header, reason=reason)
    frames = sum(COUNTS)
    summary = {"captured": frames + 2, "processed": frames, "skipped": 2, **told}
    return "; ".join(judge.log_faults(path, [*[{}] * frames, summary], 300.0))


def test_a_log(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    good = other_run(camera=CAMERA, versions=VERSIONS)
    assert judged(path, good) == ""
    assert "are from arrival" in judged(path, replace(good, timestamps="arrival"))
    assert "does not say what the camera" in judged(path, replace(good, camera={}))
    assert "does not say which picamera2" in judged(path, replace(good, versions={}))
    assert "ended by 'error: no frame'" in judged(path, good, "error: no frame")
    assert "ended by None" in judged(path, good, None)
    assert "told [71, 70, 2]" in judged(path, good, captured=71)
    path.unlink()
    assert "No such file" in judge.log_faults(path, [{}], 300.0)[0]
    path.write_text("{}")
    assert "not a latency log" in judge.log_faults(path, [{}], 300.0)[0]


def test_ages_that_no_camera_has(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    header = other_run(camera=CAMERA, versions=VERSIONS)
    write_log(path, COUNTS, header=header, reason="70 frames")
    lines = [*[{}] * 70, {"captured": 72, "processed": 70, "skipped": 2}]
    [fault] = judge.log_faults(path, lines, 1.0)
    assert fault.startswith("ages are implausible: median ")


def stalled(path: Path, outages: tuple[float, ...], gap_s: float, captured: int = 12) -> list[str]:
    """Judge a log of a camera that stalled for 7 s, which says that there were these outages."""
    recorder = Recorder()
    record_frames(recorder, 10)
    tally = Tally()
    for outage_s in outages:
        tally = tally.with_one(round(outage_s * SECOND))
    told = Incidents(outages=tally, longest_gap_ns=round(gap_s * SECOND))
    with LogWriter(path, HEADER) as writer:
        writer.interval(recorder.take_interval(captured, 2, told), {})
        writer.interval(recorder.take_interval(0, 0), {})
        writer.close(recorder.run(), "10 frames")
    return judge.outage_faults(path, 7.0)


def test_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    assert stalled(path, (12.5,), 12.5) == []
    assert stalled(path, (7.0,), 21.0) == []
    assert stalled(path, (), 12.5) == [
        "the log has 0 outages, not one",
        "the log's outage is 0.0 s",
    ]
    assert stalled(path, (7.0, 8.0), 8.0) == ["the log has 2 outages, not one"]
    assert stalled(path, (12.5,), 6.9) == ["the log's gap is 6.9 s"]
    assert stalled(path, (21.1,), 12.5) == ["the log's outage is 21.1 s"]
    assert stalled(path, (12.5,), 12.5, 13) == ["an interval does not add up: 13 captured"]
    assert "No such file" in judge.outage_faults(tmp_path / "none", 7.0)[0]


def test_a_report() -> None:
    summary = {"captured": 72, "processed": 70, "skipped": 2}
    report = {**summary, "stages": {"age": {"count": 70}}, "runs": [{"complete": True}]}
    assert judge.report_faults(report, summary) == []
    for change, fault in (
        ({"skipped": 1}, "the report has 1 skipped, the loop 2"),
        ({"stages": {}}, "the report has no ages"),
        ({"runs": []}, "the report does not show one complete run"),
        ({"runs": [{"complete": False}]}, "the report does not show one complete run"),
    ):
        assert judge.report_faults({**report, **change}, summary) == [fault]
