"""What the lab must notice; that it lets pass what is right is held beside each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.latency.incidents import Incidents, Tally
from edge.latency.read import LatencyLog, LoggedInterval
from edge.latency.recorder import STAGES
from edge.latency.stats import StageStats
from tests.edge.latency.logs import other_run, write_log
from tests.pi_lab.roots import LabError
from tests.v4l2_lab import judge, runs
from tests.v4l2_lab.judge import BARS, NS
from tests.v4l2_lab.runs import End, Run

FPS = 10
FRAMES = 20
CAMERA = {"pixel format": "YUYV", "size": "640x480", "frames per second": "10"}
LOOK: dict[str, Any] = {
    "asked": None,
    "pattern": "bars",
    "size": [320, 180],
    "rgb": BARS,
    "shape": [180, 320, 3],
    "timestamps": "driver",
    "age_ns": 0,
    "details": {"pixel format": "YUYV", "size": "320x180"},
}


def test_colours() -> None:
    assert judge.colour_faults(LOOK) == []
    near = [[min(value + judge.TOLERANCE, 255) for value in bar] for bar in BARS]
    assert judge.colour_faults({**LOOK, "rgb": near}) == []
    off = [[abs(value - judge.TOLERANCE - 1) for value in bar] for bar in BARS]
    assert len(judge.colour_faults({**LOOK, "rgb": off})) == 8
    # Only white, green, magenta and black stay where red and blue are exchanged.
    swapped = judge.colour_faults({**LOOK, "rgb": [bar[::-1] for bar in BARS]})
    assert len(swapped) == 4
    assert swapped[0] == "bar 1 is [0, 255, 255], not [255, 255, 0]"
    dim = [[value * 3 // 4 for value in bar] for bar in BARS]
    assert judge.colour_faults({**LOOK, "rgb": dim, "pattern": "75% bars"}) == []
    assert len(judge.colour_faults({**LOOK, "rgb": dim})) == 7


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"error": "no picture"}, "no picture"),
        ({"shape": [320, 180, 3]}, "a picture of [320, 180, 3], said to be 320x180"),
        ({"size": [640, 480]}, "said to be 320x180"),
        ({"asked": "NV12"}, "said to be YUYV"),
        ({"timestamps": "arrival"}, "are from arrival"),
        ({"age_ns": -1}, "-0.000 s old"),
        ({"age_ns": 6 * NS}, "6.000 s old"),
    ],
)
def test_what_else_is_seen_of_a_picture(change: dict[str, Any], fault: str) -> None:
    [found] = judge.colour_faults({**LOOK, **change})
    assert fault in found


def interval(
    second: int,
    incidents: Incidents = Incidents(),  # noqa: B008 - frozen
    *,
    counts: tuple[int, int, int] = (10, 10, 0),
    age_s: float = 0.1,
) -> LoggedInterval:
    """Return that second of a run, counted from 0; `counts`: captured, processed, skipped."""
    stats = StageStats(counts[1], max_ns=round(age_s * NS))
    return LoggedInterval(
        second * NS,
        (second + 1) * NS,
        *counts,
        0,
        None,
        None,
        None,
        dict.fromkeys(STAGES, stats),
        incidents,
    )


def run(
    intervals: Sequence[LoggedInterval] = (interval(0), interval(1)),
    said: str = "",
    **facts: Any,  # noqa: ANN401
) -> Run:
    """Return a run of 20 frames, 10 a second. `facts`: those of its deed, in its second second."""
    log = LatencyLog(
        Path("run.jsonl"), other_run(timestamps="driver", camera=CAMERA), 1, list(intervals)
    )
    captured, processed, skipped = (
        sum(getattr(one, name) for one in intervals)
        for name in ("captured", "processed", "skipped")
    )
    trace = np.full((FRAMES, 6), 100 * NS, np.int64)
    trace += np.arange(FRAMES)[:, None] * NS // FPS + np.arange(6)
    return Run(
        End(0, said),
        [{"sequence": n, "guesses": [{"label": "1"}]} for n in range(FRAMES)],
        {"captured": captured, "processed": processed, "skipped": skipped},
        log,
        trace,
        {"deed": {"begin_ns": NS + 1, "end_ns": NS + 2, **facts}},
    )


def test_a_run() -> None:
    good = run()
    assert judge.run_faults(good, FPS) == []
    assert "not {" in judge.run_faults(good, 30)[0]
    assert judge.run_faults(replace(good, end=End(4, "")), FPS) != []
    arrival = replace(good, log=replace(good.log, run=other_run(camera=CAMERA)))
    assert "from sensor" in judge.run_faults(arrival, FPS)[0]
    lost = run([interval(0, counts=(11, 10, 0)), interval(1)])
    assert "are not processed and skipped" in judge.run_faults(lost, FPS)[0]
    told = replace(good, summary={**good.summary, "captured": 21})
    assert "told [21, 20, 0]" in judge.run_faults(told, FPS)[0]
    assert judge.run_faults(replace(good, results=good.results[:-1]), FPS) != []
    early = good.trace.copy()
    early[3, 0] = early[3, 1] + 1
    assert judge.run_faults(replace(good, trace=early), FPS) == ["a frame came before it was taken"]
    assert judge.run_faults(replace(good, log=replace(good.log, problems=["cut"])), FPS) == ["cut"]


def test_numbers_follow_the_stamps() -> None:
    good = run()
    assert judge.pace_faults(good, FPS) == []
    assert "do not follow" in judge.pace_faults(good, 2 * FPS)[0]
    late = good.trace.copy()
    late[10:] += 2 * NS // FPS
    assert judge.pace_faults(replace(good, trace=late), FPS) == []
    late[10:] += NS // FPS  # three frames are missing, and the numbers do not say so
    [fault] = judge.pace_faults(replace(good, trace=late), FPS)
    assert fault == "10 of 20 numbers do not follow 10 stamps a second: 10 at 13.00 periods"
    known = [{"sequence": n + 3 * (n >= 10)} for n in range(FRAMES)]
    assert judge.pace_faults(replace(good, trace=late, results=known), FPS) == []
    assert judge.pace_faults(replace(good, results=[]), FPS) != []


def test_labels_and_still_pictures() -> None:
    good = run()
    assert judge.label_faults(good, "1") == []
    assert judge.label_faults(good, "7") == ["labels are ['1'], not '7'"]
    assert judge.still_faults(good, is_still=False) == []
    assert judge.still_faults(good, is_still=True) != []
    still = run([interval(0, Incidents(identical=9)), interval(1, Incidents(identical=10))])
    assert judge.still_faults(still, is_still=True) == []
    assert judge.still_faults(still, is_still=False) != []


STOP = Incidents(pauses=Tally(1, 2 * NS, 2 * NS), interrupted=1)


def stopped(incidents: Incidents, *, age_s: float = 1.9, skipped: int = 18) -> list[str]:
    second = interval(1, incidents, counts=(2 + skipped, 2, skipped), age_s=age_s)
    return judge.stop_faults(run([interval(0), second]), "deed", 2.0)


def test_a_stop() -> None:
    assert stopped(STOP) == []
    assert stopped(replace(STOP, interrupted=0)) == ["no frame is said to be interrupted"]
    assert stopped(Incidents(interrupted=1)) == ["the log's pause is 0.00 s, not 2.00 s"]
    assert stopped(STOP, age_s=0.1) == ["the oldest frame is 0.10 s old"]
    assert stopped(STOP, age_s=3.1) == ["the oldest frame is 3.10 s old"]
    assert stopped(STOP, skipped=0) == ["no frame is said to be skipped"]


def test_what_is_noticed_before_and_long_after_a_deed_is_not_its_own() -> None:
    intervals = [interval(0, STOP), interval(1), interval(2), interval(3, STOP)]
    assert run(intervals).incidents("deed") == Incidents()
    intervals[2] = interval(2, STOP)
    assert run(intervals).incidents("deed") == STOP


def test_a_step_of_the_clock() -> None:
    def faults(*steps_s: float, age_s: float = 0.1) -> list[str]:
        tally = Tally()
        for step_s in steps_s:
            tally = tally.with_one(round(step_s * NS))
        second = interval(1, Incidents(clock_steps=tally), age_s=age_s)
        return judge.clock_faults(run([interval(0), second]), "deed", -3600)

    assert faults(-3600.0) == []
    assert faults() == ["0 steps of the clock", "the log's step is 0.00 s, not -3600.00 s"]
    assert faults(3600) == ["the log's step is 3600.00 s, not -3600.00 s"]
    assert faults(-1800, -1800) == ["2 steps of the clock"]
    assert faults(-3600, age_s=3600) == [
        "a frame's total is 3600.00 s",
        "a frame's age is 3600.00 s",
    ]


def test_a_sleep() -> None:
    def faults(slept_s: float, host_s: float = 5.0, age_s: float = 0.1) -> list[str]:
        slept = Incidents(suspends=Tally().with_one(round(slept_s * NS)))
        ran = run([interval(0), interval(1, slept, age_s=age_s)], slept_ns=5 * NS)
        return judge.sleep_faults(ran, "deed", [round(host_s * NS)])

    assert faults(5.0) == []
    assert faults(4.8) == ["the log's suspend is 4.80 s, not 5.00 s"]
    assert faults(5.0, host_s=7.5) == ["it slept 5.0 s, the host says [7.5]"]
    assert faults(5.0, age_s=4.6) == ["a frame's total is 4.60 s", "a frame's age is 4.60 s"]
    both = Incidents(suspends=Tally(1, 5 * NS, 5 * NS), clock_steps=Tally(1, 5 * NS, 5 * NS))
    ran = run([interval(0), interval(1, both)], slept_ns=5 * NS)
    assert judge.sleep_faults(ran, "deed", [5 * NS]) == ["it is said to be a step of the clock too"]
    awake = run([interval(0), interval(1)], slept_ns=5 * NS)
    assert judge.sleep_faults(awake, "deed", [5 * NS])[0] == "0 suspends"
    assert judge.sleep_faults(awake, "deed", [])[-1] == "it slept 5.0 s, the host says []"


def test_dropped_frames() -> None:
    def faults(captured: int, skipped: int) -> list[str]:
        second = interval(1, counts=(captured, captured - skipped, skipped))
        return judge.drop_faults(run([interval(0), second]), "deed", FPS)

    assert faults(10, 3) == []
    # Those that the driver dropped are missing.
    assert faults(7, 0) == ["7 captured in 1.0 s at 10 a second", "0 of 7 are skipped"]


def test_an_outage() -> None:
    def faults(outages: Tally, counts: tuple[int, int, int] = (10, 10, 0)) -> list[str]:
        second = interval(1, Incidents(outages=outages), counts=counts)
        return judge.outage_faults(run([interval(0), second]), "deed", 3.0)

    assert faults(Tally(1, 4 * NS, 4 * NS)) == []
    assert faults(Tally()) == ["0 outages", "an outage of 0.0 s"]
    assert faults(Tally(1, 2 * NS, 2 * NS)) == ["an outage of 2.0 s"]
    assert faults(Tally(1, 4 * NS, 4 * NS), (0, 0, 0)) == ["no frame comes afterwards"]


def test_what_is_said() -> None:
    said = (
        "warning: gone. It is closed and opened again\nwarning: frames again, after 2 s without\n"
    )
    assert judge.warning_faults(End(0, said), 1) == []
    assert judge.warning_faults(End(0, said), 2) != []
    assert judge.warning_faults(End(0, f"{said}Traceback\n"), 1) != []
    end = "edge-live: error: no frame for 4 s\n"
    assert judge.end_faults(End(4, said + end), 4, "no frame for 4 s") == []
    assert judge.end_faults(End(0, said + end), 4, "no frame for 4 s") != []
    assert judge.end_faults(End(4, end + said), 4, "no frame for 4 s") != []
    assert judge.end_faults(End(4, f"Traceback\n{end}"), 4, "no frame for 4 s") != []


def test_a_run_is_read_as_it_was_left(tmp_path: Path) -> None:
    write_log(tmp_path / "one.jsonl", (3, 2), trace=True)
    (tmp_path / "one.err").write_text("warning\n")
    lines = [{"kind": "result", "sequence": n} for n in range(5)]
    text = "\n".join(map(json.dumps, [*lines, {"kind": "summary", "captured": 7}]))
    (tmp_path / "one.out").write_text(text)
    deed = {"name": "stop", "begin_ns": 1, "end_ns": 2}
    (tmp_path / "one.json").write_text(json.dumps({"status": 0, "deeds": [deed]}))
    found = runs.read(tmp_path, "one")
    assert found.end == End(0, "warning\n")
    assert (found.results, found.summary["captured"]) == (lines, 7)
    assert found.trace.shape == (5, 6)
    assert list(found.deeds) == ["stop"]
    (tmp_path / "one.out").write_text("{")
    with pytest.raises(LabError, match="'one' cannot be read"):
        runs.read(tmp_path, "one")
    with pytest.raises(LabError, match="'two' cannot be read"):
        runs.read(tmp_path, "two")
