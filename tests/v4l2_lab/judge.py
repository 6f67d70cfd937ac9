"""What is wrong with what the guest left, in sentences; none where all is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.latency.recorder import STAMPS
from tests.v4l2_lab.runs import End, Run

NS = 1_000_000_000
# "100% Colorbar" of vivid, as R, G, B; the other is the same at three quarters.
BARS = [
    *([255, 255, 255], [255, 255, 0], [0, 255, 255], [0, 255, 0]),
    *([255, 0, 255], [255, 0, 0], [0, 0, 255], [0, 0, 0]),
]
LEVELS = {"bars": 1.0, "lying bars": 1.0, "75% bars": 0.75}
# The range of YUV has 219 steps for 255, and chroma 224: each rounds once, and once again back.
TOLERANCE = 4
# No frame of an undisturbed run is older, however slow the emulator: a clock that is wrong by a
# second or an hour shows.
MAX_AGE_S = 5.0
# Of a pause while it waits for a frame the loop does not count 0.1 s; it goes on a little later.
STOP_S = (-0.15, 1.0)
# In periods. vivid stamps when its thread runs, which the emulator lets do so late now and then; by
# more than half a period, and the frame before counts as missing.
STAMP_OFF = 2.0
# Some frames are in the driver's buffers when a process is stopped: of the last half second.
BUFFERED_S = 1.0
SAME_CLOCK_S = 0.1


def colour_faults(look: Mapping[str, Any]) -> list[str]:
    """Hold one look at the bars against what the camera shows."""
    if "error" in look:
        return [look["error"]]
    width, height = look["size"]
    level = LEVELS[look["pattern"]] * 255
    wanted = [[round(level * value / 255) for value in bar] for bar in BARS]
    faults = [
        f"bar {number} is {got}, not {colour}"
        for number, (got, colour) in enumerate(zip(look["rgb"], wanted, strict=True))
        if any(abs(a - b) > TOLERANCE for a, b in zip(got, colour, strict=True))
    ]
    details = look["details"]
    if look["shape"] != [height, width, 3] or details["size"] != f"{width}x{height}":
        faults.append(f"a picture of {look['shape']}, said to be {details['size']}")
    if details["pixel format"] != (look["asked"] or "YUYV"):
        faults.append(f"it is said to be {details['pixel format']}")
    if look["timestamps"] != "driver":
        faults.append(f"its time stamps are from {look['timestamps']}")
    if not 0 <= look["age_ns"] < MAX_AGE_S * NS:
        faults.append(f"it is {look['age_ns'] / NS:.3f} s old")
    return faults


def run_faults(run: Run, fps: float) -> list[str]:
    """Hold what every run that was not lost must have. Args: fps: what the camera was asked."""
    log, summary = run.log, run.summary
    faults = [*log.problems]
    if run.end.status or log.run.timestamps != "driver":
        faults.append(f"exit status {run.end.status}, time stamps from {log.run.timestamps}")
    wanted = {"pixel format": "YUYV", "size": "640x480", "frames per second": f"{fps:g}"}
    if dict(log.run.camera) != wanted:
        faults.append(f"the log has {dict(log.run.camera)}, not {wanted}")
    counts = [(one.captured, one.processed, one.skipped) for one in log.intervals]
    if any(captured != processed + skipped for captured, processed, skipped in counts):
        faults.append(f"captured are not processed and skipped: {counts}")
    sums = [sum(column) for column in zip(*counts, strict=True)]
    told = [summary.get(name) for name in ("captured", "processed", "skipped")]
    if told != sums or sums[1] != len(run.results) or len(run.results) != len(run.trace):
        faults.append(f"the log has {sums}, the loop told {told}, and {len(run.results)} results")
    captured, arrived = (run.trace[:, STAMPS.index(name)] for name in ("captured", "arrived"))
    if (arrived < captured).any():
        faults.append("a frame came before it was taken")
    return faults


def pace_faults(run: Run, fps: float) -> list[str]:
    """Hold the frames' numbers against the driver's stamps: they count its periods.

    Only of a run whose camera was never lost.
    """
    captured = run.trace[:, STAMPS.index("captured")]
    numbers = np.array([result["sequence"] for result in run.results])
    if len(captured) != len(numbers) or len(numbers) < 2:
        return [f"{len(captured)} stamps for {len(numbers)} numbers"]
    periods = (captured - captured[0]) / NS * fps
    off = np.abs(periods - (numbers - numbers[0]))
    wrong = int((off > STAMP_OFF).sum())
    if wrong:
        worst = int(off.argmax())
        found = f"{numbers[worst] - numbers[0]} at {periods[worst]:.2f} periods"
        return [f"{wrong} of {len(numbers)} numbers do not follow {fps:g} stamps a second: {found}"]
    return []


def label_faults(run: Run, label: str) -> list[str]:
    """Hold the labels of a still picture against what the model says of that picture elsewhere."""
    found = {result["guesses"][0]["label"] for result in run.results}
    return [] if found == {label} else [f"labels are {sorted(found)}, not {label!r}"]


def still_faults(run: Run, *, is_still: bool) -> list[str]:
    """Hold how many frames were said to be like the one before."""
    identical = sum(one.incidents.identical for one in run.log.intervals)
    enough = len(run.results) - 1 if is_still else 0
    good = identical >= enough if is_still else identical == 0
    return [] if good else [f"{identical} of {len(run.results)} frames are like the one before"]


def stop_faults(run: Run, deed: str, seconds: float) -> list[str]:
    """Hold a stop of the process, which is long enough to be seen, against the log."""
    faults = pause_faults(run, deed, seconds)
    if not run.incidents(deed).interrupted:
        faults.append("no frame is said to be interrupted")
    age_s = run.longest_ns(deed, "age") / NS
    if not seconds - BUFFERED_S <= age_s <= seconds + STOP_S[1]:
        faults.append(f"the oldest frame is {age_s:.2f} s old")
    skipped = sum(one.skipped for one in run.during(deed))
    if not skipped:
        faults.append("no frame is said to be skipped")
    return faults


def pause_faults(run: Run, deed: str, seconds: float) -> list[str]:
    """Hold the longest pause of a deed against how long the process was stopped."""
    return _off("pause", run.incidents(deed).pauses.longest_ns, seconds, STOP_S)


def clock_faults(run: Run, deed: str, seconds: float) -> list[str]:
    """Hold a step of the wall clock against the log: told, and in no figure."""
    steps = run.incidents(deed).clock_steps
    faults = [] if steps.count == 1 else [f"{steps.count} steps of the clock"]
    faults += _off("step", steps.total_ns, seconds, (-SAME_CLOCK_S, SAME_CLOCK_S))
    return faults + young_faults(run, deed)


def sleep_faults(run: Run, deed: str, host_ns: Sequence[int]) -> list[str]:
    """Hold a sleep of the machine against what its clocks and the host's say of it."""
    seen, slept_s = run.incidents(deed).suspends, run.deeds[deed]["slept_ns"] / NS
    faults = [] if seen.count == 1 else [f"{seen.count} suspends"]
    if run.incidents(deed).clock_steps.count:
        faults.append("it is said to be a step of the clock too")
    faults += _off("suspend", seen.total_ns, slept_s, (-SAME_CLOCK_S, SAME_CLOCK_S))
    if len(host_ns) != 1 or not math.isclose(host_ns[0] / NS, slept_s, abs_tol=2.0):
        # The clock that goes on has whole seconds.
        faults.append(f"it slept {slept_s:.1f} s, the host says {[ns / NS for ns in host_ns]}")
    return faults + young_faults(run, deed, min(MAX_AGE_S, slept_s - 0.5))


def young_faults(run: Run, deed: str, limit_s: float = MAX_AGE_S) -> list[str]:
    """Hold that no frame's time has what it must not have."""
    return [
        f"a frame's {stage} is {run.longest_ns(deed, stage) / NS:.2f} s"
        for stage in ("total", "age")
        if run.longest_ns(deed, stage) > limit_s * NS
    ]


def drop_faults(run: Run, deed: str, fps: float) -> list[str]:
    """Hold that frames which the driver dropped are captured and skipped."""
    intervals = run.during(deed)
    seconds = (intervals[-1].end_ns - intervals[0].start_ns) / NS
    captured, skipped = (
        sum(getattr(i, name) for i in intervals) for name in ("captured", "skipped")
    )
    faults = []
    if not math.isclose(captured, seconds * fps, rel_tol=0.15):
        faults.append(f"{captured} captured in {seconds:.1f} s at {fps:g} a second")
    if skipped < 0.1 * captured:
        faults.append(f"{skipped} of {captured} are skipped")
    return faults


def outage_faults(run: Run, deed: str, least_s: float = 0.0) -> list[str]:
    """Hold that a camera was lost once by a deed, for as long as it was away, and came back."""
    intervals, seen = run.during(deed), run.incidents(deed)
    faults = [] if seen.outages.count == 1 else [f"{seen.outages.count} outages"]
    if not least_s <= seen.outages.total_ns / NS <= least_s + 20:
        faults.append(f"an outage of {seen.outages.total_ns / NS:.1f} s")
    if not intervals[-1].processed:
        faults.append("no frame comes afterwards")
    return faults


def warning_faults(end: End, outages: int) -> list[str]:
    """Hold that each outage is said twice, when it begins and when it is over, and nothing else."""
    begun, over = end.said.count("opened again\n"), end.said.count(" s without\n")
    if (begun, over, len(end.said.splitlines())) == (outages, outages, 2 * outages):
        return []
    return [f"{begun} outages are said to begin and {over} to end, not {outages}: {end.said!r}"]


def end_faults(end: End, status: int, said: str) -> list[str]:
    """Hold how a run ends that must end, in one sentence."""
    last = (end.said.splitlines() or [""])[-1]
    is_right = end.status == status and said in last and "Traceback" not in end.said
    return [] if is_right else [f"exit status {end.status}: {end.said!r}"]


def _off(what: str, found_ns: int, wanted_s: float, around_s: tuple[float, float]) -> list[str]:
    low_s, high_s = (wanted_s + one for one in around_s)
    if low_s <= found_ns / NS <= high_s:
        return []
    return [f"the log's {what} is {found_ns / NS:.2f} s, not {wanted_s:.2f} s"]
