"""What is looked at on each machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.pi_lab import judge, scenes
from tests.pi_lab.lab import Ended, Lab

# A camera's rate, and one at which the loop has to skip, on a PC of any speed.
RATES = {False: (30.0, 5000.0), True: (30.0, 200.0)}
FRAMES = {False: 200, True: 60}
# Emulated, an inference takes some hundredths of a second or some tenths.
MAX_AGE_MS = {False: 200.0, True: 3000.0}
# Longer than a frame may take before the camera counts as stalled (5 s), shorter than that and an
# opening that stalls too.
STALL_S = 7.0
MAX_OUTAGE_S = 8.0
LOST = 4  # the loop's exit status where the camera stays lost


def examine(lab: Lab, digits: list[str]) -> None:
    """Run everything on one machine. Args: digits: what is on the pictures, in order."""
    print(f"{lab.machine.name}{' (emulated)' if lab.machine.is_emulated else ''}", flush=True)
    look_at_colours(lab)
    hold_settings(lab)
    for kind in ("tflite", "onnx"):
        for fps in RATES[lab.machine.is_emulated]:
            classify(lab, kind, fps, digits)
    lose_the_camera(lab)


def look_at_colours(lab: Lab) -> None:
    seen = lab.run("colours", scenes.COLOURS_CAMERA)
    if seen.status:
        lab.check("colours", [seen.trouble])
        return
    [told] = seen.lines
    print(f"  {', '.join(f'{name} {which}' for name, which in told['versions'].items())}")
    print(f"  {told['details']}")
    lab.check(f"colours {told['rgb']}", judge.colour_faults(told["rgb"]))
    # Next to what is right stands what is wrong: red and blue exchanged, in its chroma.
    wrong = lab.run("colours", scenes.COLOURS_CAMERA, "NV21")
    noticed = not wrong.status and bool(judge.colour_faults(wrong.lines[0]["rgb"]))
    lab.check("a wrong order of colours is noticed", _unless(noticed, wrong))


def hold_settings(lab: Lab) -> None:
    done = lab.run("settings")
    faults = [done.trouble] if done.status else json.loads(done.out)
    lab.check("picamera2 takes what each board is asked, and reads formats as we do", faults)


def classify(lab: Lab, kind: str, fps: float, digits: list[str]) -> None:
    title = f"{kind}, {fps:g} fps"
    slow = lab.machine.is_emulated
    log = f"{kind}-{fps:g}.jsonl"
    arguments = [*_loop(kind, log), "--frames", str(FRAMES[slow]), "--interval", "1"]
    done = lab.run("live", *arguments, fps=fps)
    if done.status:
        lab.check(title, [done.trouble])
        return
    results, summary = done.lines[:-1], done.lines[-1]
    ages_ms = sorted(result["age_ns"] / 1e6 for result in results)
    what = f"{len(results)} frames, {summary['skipped']} skipped"
    faults = judge.label_faults(results, digits)
    if fps == max(RATES[slow]) and not summary["skipped"]:
        faults.append("no frame was skipped: it does not show that skipped ones are counted")
    lab.check(f"{title}: labels ({what})", faults)
    lab.check(
        f"{title}: log (age {ages_ms[len(ages_ms) // 2]:.1f} ms, median)",
        judge.log_faults(lab.folder / log, done.lines, MAX_AGE_MS[slow]),
    )
    report = lab.run("report", f"/lab/{log}", "--json")
    faults = [report.trouble] if report.status else []
    lab.check(f"{title}: report", faults or judge.report_faults(json.loads(report.out), summary))
    # Next to what is right stands what is wrong: the labels of other pictures.
    noticed = bool(judge.label_faults(results, [*digits[3:], *digits[:3]]))
    lab.check(f"{title}: wrong labels are noticed", _unless(noticed, done))


def lose_the_camera(lab: Lab) -> None:
    frames = FRAMES[lab.machine.is_emulated]
    arguments = [*_loop("tflite", "stall.jsonl"), "--interval", "0.5"]
    done = lab.run(
        "live", *arguments, "--frames", str(frames), during=_fault(lab, STALL_S, "stalled")
    )
    good = not done.status and "opened again" in done.err and len(done.lines) == frames + 1
    lab.check(f"a camera that stalls for {STALL_S:g} s is opened again", _unless(good, done))
    faults = judge.outage_faults(lab.folder / "stall.jsonl", STALL_S)
    lab.check("its log has one outage of that length, and adds up", faults)
    arguments += ["--max-outage", str(MAX_OUTAGE_S)]
    for title, names, said in (
        ("stays lost", ["stalled"], "no frame for"),
        ("is lost, and whose driver hangs,", ["hung", "stalled"], "the driver hangs"),
    ):
        done = lab.run("live", *arguments, during=_fault(lab, 1e6, *names))
        good = done.status == LOST and said in done.err
        lab.check(f"one that {title} ends the run with {LOST}", _unless(good, done))
        for name in names:
            (lab.folder / name).unlink(missing_ok=True)


def _loop(kind: str, log: str) -> list[str]:
    """Return the arguments of a run that every run has."""
    return [
        *("--model", f"/lab/digits.int8.{kind}", "--source", scenes.DIGITS_CAMERA, "--json"),
        *("--threads", "1", "--log", f"/lab/{log}"),
    ]


def _fault(lab: Lab, seconds: float, *names: str) -> Callable[[], None]:
    """Return what waits for the loop's first interval, then puts files there for a while."""
    log = lab.folder / "stall.jsonl"
    log.unlink(missing_ok=True)

    def inject() -> None:
        while not _has_intervals(log):
            time.sleep(0.1)
        for name in names:
            (lab.folder / name).touch()
        time.sleep(seconds)
        for name in names:
            (lab.folder / name).unlink(missing_ok=True)

    return inject


def _has_intervals(log: Path) -> bool:
    return log.exists() and len(log.read_text().splitlines()) > 1


def _unless(good: bool, done: Ended) -> list[str]:
    return [] if good else [done.trouble]
