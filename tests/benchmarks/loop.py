"""What the loop costs: against the bare inference, against loops as examples have them, in age.

    python -m tests.benchmarks.loop --model model.int8.tflite --model model.int8.onnx
    python -m tests.benchmarks.loop --model model.tflite --preprocess tf --source pictures/

Blocks of frames through the whole loop (capture thread, hand-over, preprocessing, inference,
top 5, recorder) take turns with blocks of the runtime's call alone, of the loop that never prepares
frames ahead, and of a loop as the runtimes' own examples write it, on the same opened model, so
that whatever else the machine does meets all of them. Frames are 640x480, made beforehand, or the
first of `--source`, resized; and once more as a camera gives them that scales by itself, so that
nothing is left to resize. Each model runs on one thread, on one thread per core, and on one core
alone. Then a simulated camera has its own pace, and the age of each label is kept; then whole
processes are started, until their first label; then a stub in the model's place takes 20,000
frames, and memory is read on the way. Raw samples go to tests/benchmarks/results/loop.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.backends import open_model
from edge.backends.base import ModelSpec
from edge.classifier import choose_preprocess
from edge.live import LiveLoop, LiveOptions
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import U8
from tests.benchmarks import record
from tests.benchmarks.loop_age import measure_ages, summarize_ages
from tests.benchmarks.loop_parts import (
    MemorySource,
    StubBackend,
    pictures_of,
    scaled_by_the_camera,
    synthetic_pictures,
)
from tests.benchmarks.loop_rate import measure_rate, summarize_rate

GROWTH_STEP = 1000
# The samples of a rate, and what its rows say behind the way.
RATES = {"rate": "", "rate_scaled": ", scaled by the camera"}


def measure_start(model: Path, runs: int) -> list[float]:
    """Return the seconds from the start of a process to its first label on stdout."""
    with tempfile.TemporaryDirectory() as folder:
        cv2.imwrite(f"{folder}/0.png", synthetic_pictures(1)[0])
        command = [sys.executable, "-m", "device_scripts.live_classify", "--model", str(model)]
        took_s = []
        for _ in range(runs):
            begin_s = time.perf_counter()
            with subprocess.Popen(
                [*command, "--source", folder, "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                assert process.stdout is not None
                line = process.stdout.readline()
                took_s.append(round(time.perf_counter() - begin_s, 4))
                process.stdout.read()
            if b"guesses" not in line:
                raise RuntimeError(f"no label: {line!r}")
    return took_s


def measure_growth(
    spec: ModelSpec, preprocess: PreprocessSpec, pictures: list[U8], frames: int
) -> list[dict[str, int]]:
    """Return Python's memory and the process's at every thousandth frame of one run."""
    # Made beforehand: what this notes must not be what grows.
    notes = np.zeros((frames // GROWTH_STEP + 1, 2), np.int64)

    def note(frame: int) -> None:
        if frame % GROWTH_STEP == 0:
            notes[frame // GROWTH_STEP] = tracemalloc.get_traced_memory()[0], _rss()

    loop = LiveLoop(StubBackend(spec), preprocess, (), LiveOptions(interval_s=0.5))
    tracemalloc.start()
    try:
        loop.run(MemorySource(pictures, frames + 1, note), stop=threading.Event())
    finally:
        tracemalloc.stop()
    return [
        {"frame": row * GROWTH_STEP, "traced_bytes": traced_bytes, "rss_bytes": rss_bytes}
        for row, (traced_bytes, rss_bytes) in enumerate(notes.tolist())
    ]


def _rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def arrangements() -> list[tuple[int, int]]:
    """Return what is measured, as (cores, threads of an inference)."""
    cores = len(os.sched_getaffinity(0))
    return [(cores, 1), *([(cores, cores), (1, 1)] if cores > 1 else [])]


def measure_model(path: Path, args: argparse.Namespace, pictures: list[U8]) -> dict[str, Any]:
    """Return rates and ages in all arrangements."""
    everywhere = os.sched_getaffinity(0)
    found: dict[str, Any] = {}
    for cores, threads in arrangements():
        os.sched_setaffinity(0, set(sorted(everywhere)[:cores]))
        try:
            backend = open_model(path, threads=threads)
            preprocess = choose_preprocess(backend.spec, args.preprocess)
            found[f"{cores} cores, {threads} threads"] = {
                "rate": measure_rate(backend, preprocess, pictures, args.blocks, args.length),
                "rate_scaled": measure_rate(
                    backend,
                    preprocess,
                    scaled_by_the_camera(pictures, preprocess, backend.spec.input),
                    args.blocks,
                    args.length,
                ),
                "age": measure_ages(backend, preprocess, pictures, args.seconds, args.rounds),
            }
            backend.close()
        finally:
            os.sched_setaffinity(0, everywhere)
    return found


def show(name: str, found: dict[str, Any]) -> str:
    """Return the tables of one model."""
    parts = [f"\n### {name}"]
    for arrangement, samples in found.items():
        rates = [
            (
                f"{way}{suffix}",
                f"{figures['median_ms']:.2f}",
                f"{100 * figures['rate']:.1f} %",
                f"{100 * figures['rate_quartile_1']:.1f} to {100 * figures['rate_quartile_3']:.1f}",
                f"{100 * figures['rate_of_best']:.1f} %",
                f"{figures['processor_ms']:.2f}",
            )
            for key, suffix in RATES.items()
            for way, figures in summarize_rate(samples[key]).items()
        ]
        ages = [
            (
                f"{row['loop']}, {row['camera']}",
                *(f"{row[key]:.1f}" for key in ("p50_ms", "p99_ms", "max_ms")),
                f"{row['bound_by_median_ms']:.1f}" if "bound_by_median_ms" in row else "",
                f"{row['bound_by_p99_ms']:.1f}" if "bound_by_p99_ms" in row else "",
            )
            for row in summarize_ages(samples["age"])
        ]
        rate_header = ("way", "ms", "rate", "quartiles", "of the best", "processor ms")
        age_header = ("age of a label, ms", "p50", "p99", "max", "bound", "bound, p99")
        parts += [
            f"\n{arrangement}\n",
            record.table(rate_header, rates),
            "",
            record.table(age_header, ages),
        ]
    return "\n".join(parts)


def main() -> None:
    """Measure, print the figures and keep the samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", required=True, type=Path, action="append", help="one or more")
    add("--preprocess", choices=tuple(PRESETS))
    add("--source")
    add("--blocks", type=int, default=20)
    add("--length", type=int, default=200, help="frames a block")
    add("--seconds", type=float, default=2.0, help="of one turn of a loop with a camera")
    add("--rounds", type=int, default=4, help="of those turns")
    add("--starts", type=int, default=10)
    add("--frames", type=int, default=20_000, help="frames of the memory run")
    args = parser.parse_args()
    pictures = pictures_of(args.source, 32) if args.source else synthetic_pictures(8)
    before = record.machine()
    print(record.heading("The loop", before))
    models: dict[str, Any] = {}
    for path in args.model:
        found = measure_model(path, args, pictures)
        starts_s = measure_start(path, args.starts)
        print(show(path.name, found))
        print(
            f"\nstart to first label: median {np.median(starts_s):.2f} s, max {max(starts_s):.2f} s"
        )
        models[path.name] = {"starts_s": starts_s, **found}
    backend = open_model(args.model[0], threads=1)
    preprocess = choose_preprocess(backend.spec, args.preprocess)
    growth = measure_growth(backend.spec, preprocess, pictures, args.frames)
    backend.close()
    first, last = growth[1], growth[-1]
    grown = {key: last[key] - first[key] for key in ("frame", "traced_bytes", "rss_bytes")}
    print(
        f"\nmemory, {grown['frame']} frames: {grown['traced_bytes']} bytes of Python's, "
        f"{grown['rss_bytes']} of the process's"
    )
    figures = {
        name: {
            arrangement: {
                **{key: summarize_rate(samples[key]) for key in RATES},
                "age": summarize_ages(samples["age"]),
            }
            for arrangement, samples in found.items()
            if arrangement != "starts_s"
        }
        for name, found in models.items()
    }
    for found in models.values():
        for samples in found.values():
            if isinstance(samples, dict):
                for row in samples["age"]:
                    for key in ("ages_ms", "inferences_ms"):
                        row[key] = [round(ms, 2) for ms in row[key]]
    # `chrt -r 5` in front of the command keeps others on the machine from taking turns with it.
    policy = {os.SCHED_RR: "round robin, real-time"}.get(os.sched_getscheduler(0), "ordinary")
    samples = {"models": models, "growth": growth}
    record.save("loop", before, scheduling=policy, figures=figures, samples=samples)


if __name__ == "__main__":
    main()
