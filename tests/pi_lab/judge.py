"""What is wrong with what a run in the lab gave, in sentences; none where all is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from edge.latency.incidents import NOTHING, Incidents
from edge.latency.log_lines import LogError
from edge.latency.read import read_log
from tests.pi_lab.scenes import COLOURS, FRAMES_A_PICTURE

# What a saturated channel may be off by: JPEG, chroma of half the size, and a range of YUV that
# is taken for another.
TOLERANCE = 70
# Of a hundred frames so many show the digit of the picture; the rest is JPEG and another scaler.
AGREEMENT = 0.97
# Frames that may pass between the camera's start and the first that is read.
MAX_EARLIER = 2 * FRAMES_A_PICTURE


def colour_faults(seen: Sequence[Sequence[int]]) -> list[str]:
    """Args: seen: (R, G, B) of each square, row by row."""
    wanted = [colour for row in COLOURS for colour in row]
    if len(seen) != len(wanted):
        return [f"{len(seen)} squares of {len(wanted)}"]
    return [
        f"square {number} is {tuple(got)}, not {colour}"
        for number, (got, colour) in enumerate(zip(seen, wanted, strict=True))
        if any(abs(a - b) > TOLERANCE for a, b in zip(got, colour, strict=True))
    ]


def label_faults(results: Sequence[Mapping[str, Any]], digits: Sequence[str]) -> list[str]:
    """Hold each frame's label against the picture that the camera showed then.

    Which picture that was follows from the frame's number, but for where the count began.

    Args: results: the loop's lines in order; digits: what is on the pictures, in order.
    """
    if len(results) < FRAMES_A_PICTURE * len(digits):
        return [f"{len(results)} frames, which do not show all {len(digits)} pictures"]
    labels = [(int(result["sequence"]), result["guesses"][0]["label"]) for result in results]
    numbers = [number for number, _ in labels]
    if numbers != sorted(set(numbers)):
        return ["the frames' numbers do not rise"]
    length = FRAMES_A_PICTURE * len(digits)

    def agreeing(earlier: int) -> list[bool]:
        shown = [digits[(number + earlier) % length // FRAMES_A_PICTURE] for number in numbers]
        return [label == digit for (_, label), digit in zip(labels, shown, strict=True)]

    best = max((agreeing(earlier) for earlier in range(MAX_EARLIER)), key=sum)
    if sum(best) < AGREEMENT * len(best):
        wrong = Counter(label for (_, label), right in zip(labels, best, strict=True) if not right)
        return [f"{sum(best)} of {len(best)} labels are right; wrong ones: {dict(wrong)}"]
    return []


def log_faults(path: Path, results: Sequence[Mapping[str, Any]], max_age_ms: float) -> list[str]:
    """Hold the latency log against the loop's own lines and its last one, the summary."""
    try:
        log = read_log(path)
    except (LogError, OSError) as error:
        return [str(error)]
    faults = list(log.problems)
    if log.run.timestamps != "sensor":
        faults.append(f"time stamps are from {log.run.timestamps}, not from the sensor")
    if "NV12 320x240" not in log.run.camera.get("stream", ""):
        faults.append(f"the log does not say what the camera gave: {dict(log.run.camera)}")
    if "picamera2" not in log.run.versions or "libcamera" not in log.run.camera:
        faults.append("the log does not say which picamera2 and libcamera gave the frames")
    if log.reason is None or not log.reason.endswith("frames"):
        faults.append(f"the run ended by {log.reason!r}")
    captured, processed, skipped = (
        sum(getattr(interval, name) for interval in log.intervals)
        for name in ("captured", "processed", "skipped")
    )
    if captured != processed + skipped:
        faults.append(f"{captured} captured are not {processed} processed and {skipped} skipped")
    *frames, summary = results
    told = [summary.get(name) for name in ("captured", "processed", "skipped")]
    if told != [captured, processed, skipped] or processed != len(frames):
        faults.append(f"the log has {processed} frames, the loop {len(frames)}, and told {told}")
    age, total = log.histograms["age"], log.histograms["total"]
    if age.negative or not total.percentile(50) <= age.percentile(50) <= max_age_ms * 1e6:
        faults.append(
            f"ages are implausible: median {age.percentile(50) / 1e6:.1f} ms (at most "
            f"{max_age_ms:g}; arrival to label {total.percentile(50) / 1e6:.1f}), {age.negative} "
            "before the frame was taken"
        )
    return faults


def outage_faults(path: Path, stall_s: float) -> list[str]:
    """Hold the log of a run whose camera stalled once for `stall_s` against that."""
    try:
        log = read_log(path)
    except (LogError, OSError) as error:
        return [str(error)]
    seen = reduce(Incidents.merged, (interval.incidents for interval in log.intervals), NOTHING)
    faults = list(log.problems)
    if seen.outages.count != 1:
        faults.append(f"the log has {seen.outages.count} outages, not one")
    # It begins with the last frame before, and ends when the camera is open again.
    for name, lasted_ns in (("outage", seen.outages.longest_ns), ("gap", seen.longest_gap_ns)):
        if not stall_s * 1e9 <= lasted_ns <= 3 * stall_s * 1e9:
            faults.append(f"the log's {name} is {lasted_ns / 1e9:.1f} s")
    faults += [
        f"an interval does not add up: {one.captured} captured"
        for one in log.intervals
        if one.captured != one.processed + one.skipped
    ]
    return faults


def report_faults(report: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """Hold the report's JSON against the loop's last line."""
    faults = [
        f"the report has {report.get(name)} {name}, the loop {summary.get(name)}"
        for name in ("captured", "processed", "skipped")
        if report.get(name) != summary.get(name)
    ]
    if not report.get("stages", {}).get("age", {}).get("count"):
        faults.append("the report has no ages")
    if [run.get("complete") for run in report.get("runs", ())] != [True]:
        faults.append("the report does not show one complete run")
    return faults
