"""Time and memory from a float model to both int8 artifacts, whole processes side by side.

    python -m tests.benchmarks.conversion_time --shared ../shared

Ours calibrates on 128 images, verifies both artifacts on 64 others and writes the report. The
others, quantize_static and ai-edge-quantizer, calibrate on the same 128 images and check nothing;
the latter needs the float TFLite file that onnx2tf makes. Processes alternate. Wall time is what
a user waits; processor time does not depend on who else uses the machine.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import inputs, record
from tests.benchmarks.artifacts import ToolError, Workshop

OURS = "edge-convert, verification and report included"
STATIC, AI_EDGE = "quantize_static", "ai-edge-quantizer"
FLOAT_TFLITE = "onnx2tf (float TFLite)"
# All that it takes to have both files.
OTHERS = (STATIC, FLOAT_TFLITE, AI_EDGE)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took, its children included; `peak_mib` is the largest resident set."""

    wall_s: float
    processor_s: float
    peak_mib: float


def run(command: Sequence[str], log: Path) -> Cost:
    """Run a process to its end and return its cost. Raises: ToolError: it failed; see `log`."""
    with log.open("w") as out:
        started_ns = time.monotonic_ns()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = (time.monotonic_ns() - started_ns) / 1e9
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ToolError((log.read_text().strip().splitlines() or ["no message"])[-1])
    # Linux counts ru_maxrss in KiB.
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / MIB)


def commands(workshop: Workshop, out: Path) -> dict[str, Callable[[], list[str]]]:
    """Return what to run, by name; a tool that is absent raises ToolError when asked."""
    model = inputs.CLASSIFIER
    labels = ("--labels", str(workshop.shared.labels))
    return {
        OURS: lambda: workshop.convert_command(model, out / "ours", *labels),
        STATIC: lambda: workshop.quantize_static_command(
            model, out / "static.onnx", "uint8", "minmax"
        ),
        FLOAT_TFLITE: lambda: workshop.onnx2tf_command(model, out / "onnx2tf"),
        AI_EDGE: lambda: workshop.ai_edge_quantizer_command(
            workshop.float_tflite(model), out / "ai_edge.tflite"
        ),
    }


def measure(
    workshop: Workshop, out: Path, repetitions: int, notes: list[str]
) -> dict[str, list[Cost]]:
    """Run everything in turn, `repetitions` times after one round that warms the page cache."""
    costs: dict[str, list[Cost]] = {}
    for name, command in commands(workshop, out).items():
        try:
            run(command(), out / "log.txt")
            costs[name] = []
        except ToolError as error:
            notes.append(f"{name}: {error}")
    for _ in range(repetitions):
        for name, measured in costs.items():
            measured.append(run(commands(workshop, out)[name](), out / "log.txt"))
    return costs


def summarize(costs: Mapping[str, Sequence[Cost]]) -> dict[str, Any]:
    """Return the medians of each, and ours over the sum of the others, round by round."""
    figures: dict[str, Any] = {
        "medians": {
            name: {
                "wall_s": statistics.median(c.wall_s for c in measured),
                "processor_s": statistics.median(c.processor_s for c in measured),
                "peak_mib": max(c.peak_mib for c in measured),
            }
            for name, measured in costs.items()
        }
    }
    if {OURS, *OTHERS} <= set(costs):
        for key in ("wall_s", "processor_s"):
            rounds = zip(
                *([asdict(c)[key] for c in costs[n]] for n in (OURS, *OTHERS)), strict=True
            )
            figures[f"{key}_ratios"] = [ours / sum(others) for ours, *others in rounds]
    return figures


def show(figures: Mapping[str, Any]) -> str:
    """Return the tables."""
    rows = [
        (name, *(f"{entry[key]:.1f}" for key in ("wall_s", "processor_s", "peak_mib")))
        for name, entry in figures["medians"].items()
    ]
    lines = [record.table(("process", "wall s", "processor s", "peak MiB"), rows)]
    for key, words in (("wall_s_ratios", "wall"), ("processor_s_ratios", "processor")):
        if key in figures:
            each = ", ".join(f"{ratio:.2f}" for ratio in figures[key])
            middle = statistics.median(figures[key])
            lines.append(f"\n{words} time, ours / all others: {middle:.2f} (each round: {each})")
    return "\n".join(lines)


def main() -> None:
    """Measure, print tables, keep the samples."""
    parser = record.parser(__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    shared = inputs.find(args.shared)
    workshop = Workshop(shared, args.work, args.onnx2tf)
    out = args.work / "conversion_time"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    notes: list[str] = []
    before = record.machine()
    costs = measure(workshop, out, args.repetitions, notes)
    figures = summarize(costs)
    print(record.heading("Conversion, medians", before))
    print(show(figures))
    for note in notes:
        print(f"left out: {note}", file=sys.stderr)
    record.save(
        "conversion_time",
        before,
        figures=figures,
        left_out=notes,
        samples={name: [asdict(cost) for cost in each] for name, each in costs.items()},
    )


if __name__ == "__main__":
    main()
