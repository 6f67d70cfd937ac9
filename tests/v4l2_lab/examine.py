"""What is looked at of that which the guest left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.pi_lab.lab import Checks
from tests.v4l2_lab import judge, runs
from tests.v4l2_lab.judge import NS
from tests.v4l2_lab.runs import Run

NOT_SEEN_S = (0.05, 0.15)
SHORTEST_S = 0.4  # between two frames there is nothing that it interrupts
SEEN_S = (2.0, 12.0)
HOUR_S = 3600


def examine(out: Path, label: str, checks: Checks) -> None:
    """Judge all. Args: out: `guest.boot()`; label: what the model says of out/bars.png here."""
    versions = json.loads((out / "versions.json").read_text())
    print(f"  {', '.join(f'{name} {which}' for name, which in versions.items())}")
    _colours(json.loads((out / "colours.json").read_text()), checks)
    still = runs.read(out, "still")
    checks.check("a still picture: the log", judge.run_faults(still, 10))
    checks.check("its frames are numbered by the stamps", judge.pace_faults(still, 10))
    checks.check(f"its labels are those of the picture: {label}", judge.label_faults(still, label))
    checks.check("its frames are known as alike", judge.still_faults(still, is_still=True))
    ahead = runs.read(out, "ahead")
    checks.check("a driver that stamps ahead of time: the log", judge.run_faults(ahead, 15))
    checks.check("its moving picture is not alike", judge.still_faults(ahead, is_still=False))
    checks.check("opened again, it is the same", judge.outage_faults(ahead, "disconnect"))
    _time(runs.read(out, "time"), json.loads((out / "slept.json").read_text()), checks)
    _camera(runs.read(out, "camera"), checks)
    _ends(out, checks)


def _colours(looks: list[Mapping[str, Any]], checks: Checks) -> None:
    for look in looks:
        width, height = look["size"]
        title = f"{look['asked'] or 'any format'}, {width}x{height}, {look['pattern']}"
        if look["asked"] == "MJPG":
            said = look.get("error", "")
            faults = [] if "gives" in said and "not MJPG" in said else [said or "it is opened"]
            checks.check("MJPG, which the camera has not, is refused", faults)
            continue
        checks.check(title, judge.colour_faults(look))
        # Next to what is right stands what is wrong: red and blue exchanged.
        swapped = {**look, "rgb": [colour[::-1] for colour in look.get("rgb", ())]}
        if not judge.colour_faults(swapped):
            checks.check(f"{title}: exchanged colours are noticed", ["they are not"])


def _time(run: Run, slept_ns: list[int], checks: Checks) -> None:
    checks.check("time is disturbed: the log", judge.run_faults(run, 5))
    checks.check("its frames are numbered by the stamps", judge.pace_faults(run, 5))
    for seconds in NOT_SEEN_S:
        seen = run.incidents(f"stop {seconds:g} s")
        pause_s, gap_s = seen.pauses.total_ns / NS, seen.longest_gap_ns / NS
        what = f"{pause_s:.2f} s of pauses, {gap_s:.2f} s between two frames"
        print(f"         a stop of {seconds:g} s: {what}")
    deed = f"stop {SHORTEST_S:g} s"
    checks.check(f"a {deed} is a pause", judge.pause_faults(run, deed, SHORTEST_S))
    for seconds in SEEN_S:
        deed = f"stop {seconds:g} s"
        pause_s = run.incidents(deed).pauses.longest_ns / NS
        title = f"a stop of {seconds:g} s is a pause of {pause_s:.2f} s"
        checks.check(title, judge.stop_faults(run, deed, seconds))
    for seconds in (HOUR_S, -HOUR_S):
        deed = f"clock {seconds:+d} s"
        step_s = run.incidents(deed).clock_steps.total_ns / NS
        title = f"a clock that is set is a step of {step_s:+.3f} s, and in no latency"
        checks.check(title, judge.clock_faults(run, deed, seconds))
    suspend_s, age_s = (
        run.incidents("sleep").suspends.total_ns / NS,
        run.longest_ns("sleep", "age") / NS,
    )
    title = f"a sleep is a suspend of {suspend_s:.2f} s, and in no latency (age {age_s:.2f} s)"
    checks.check(title, judge.sleep_faults(run, "sleep", slept_ns))


def _camera(run: Run, checks: Checks) -> None:
    checks.check("the camera is disturbed: the log", judge.run_faults(run, 10))
    checks.check("dropped frames are counted", judge.drop_faults(run, "drop 30 %", 10))
    marked = run.incidents("mark a buffer as broken")
    print(f"         a buffer that the driver marks as broken: {marked.broken} broken frames")
    checks.check("a stream that fails is opened again", judge.outage_faults(run, "fail for good"))
    checks.check("a camera that is disconnected too", judge.outage_faults(run, "disconnect"))
    gone = [] if run.deeds["unplug"]["gone"] else ["it was never gone"]
    lost_s = run.incidents("unplug").outages.total_ns / NS
    title = f"one that is unplugged for 3 s is back after {lost_s:.1f} s"
    checks.check(title, gone + judge.outage_faults(run, "unplug", 3.0))
    checks.check("all that is said", judge.warning_faults(run.end, 3))


def _ends(out: Path, checks: Checks) -> None:
    for name, said in (("lost", "no frame for 4 s, the limit is 4 s"), ("stalled", "no frame for")):
        run = runs.read(out, name)
        faults = judge.end_faults(run.end, 4, said)
        if not (run.log.reason or "").startswith("error: v4l2:0: no frame for"):
            faults.append(f"the log's reason is {run.log.reason!r}")
        checks.check(f"a camera that stays {name} ends the run with 4", faults)
    refused = judge.end_faults(runs.read_end(out, "refused"), 2, "not MJPG; see")
    checks.check("a format that the camera has not ends it with 2", refused)
