"""What the loop adds to the bare inference, and whether its memory grows.

    python -m tests.benchmarks.loop --model model.int8.tflite
    python -m tests.benchmarks.loop --model model.tflite --preprocess tf --source pictures/

Blocks of frames through the whole loop (capture thread, hand-over, preprocessing, inference,
top 5, recorder) alternate with blocks of the inference call alone, on the same backend, so that
whatever else the machine does meets both. Frames are 640x480, made beforehand, or the first of
`--source`, resized. Then a stub in the model's place takes 20,000 frames, and memory is read on
the way. Raw samples go to tests/benchmarks/results/loop.json.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.backends import open_model
from edge.backends.base import Backend, ModelSpec
from edge.classifier import choose_preprocess
from edge.device import describe_board, describe_versions
from edge.files import write_text
from edge.live import LiveLoop, LiveOptions
from edge.preprocess import PRESETS, PreprocessSpec
from edge.sources import open_source
from edge.sources.base import Frame, Timestamps
from edge.tensors import U8, Array

RESULT = Path(__file__).parent / "results" / "loop.json"
SIZE = (640, 480)
GROWTH_STEP = 1000


class MemorySource:
    """Gives pictures from memory, in turn, so many times; calls `on_read` before each."""

    name = "memory"
    is_live = False
    timestamps: Timestamps = "arrival"
    broken_count = 0

    def __init__(
        self, pictures: list[U8], count: int, on_read: Callable[[int], None] = lambda _: None
    ) -> None:
        self._pictures = pictures
        self._count = count
        self._on_read = on_read
        self._given = 0

    def read(self) -> Frame | None:
        if self._given == self._count:
            return None
        self._on_read(self._given)
        now_ns = time.monotonic_ns()
        pixels = self._pictures[self._given % len(self._pictures)]
        frame = Frame(pixels, "bgr", self._given, now_ns, now_ns)
        self._given += 1
        return frame

    def close(self) -> None:
        pass


class StubBackend:
    """A model that takes no time: what is left is the loop."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._input: Array = np.zeros(spec.input.shape, spec.input.dtype)
        self._scores: Array = np.arange(spec.classes).astype(spec.output.dtype)

    def input_view(self) -> Array:
        return self._input

    def run(self) -> Array:
        return self._scores

    def close(self) -> None:
        pass


def synthetic_pictures(count: int) -> list[U8]:
    """Return smooth noise, uint8 [480, 640, 3]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return [np.asarray(cv2.GaussianBlur(picture, (0, 0), 4), np.uint8) for picture in noise]


def pictures_of(source_text: str, count: int) -> list[U8]:
    """Return the first frames of a source, brought to 640x480."""
    source = open_source(source_text)
    try:
        frames = list(islice(iter(source.read, None), count))
    finally:
        source.close()
    return [np.asarray(cv2.resize(frame.pixels, SIZE), np.uint8) for frame in frames]


def measure_cost(
    backend: Backend, preprocess: PreprocessSpec, pictures: list[U8], blocks: int, length: int
) -> dict[str, list[float]]:
    """Return ms a frame for each block: of the loop, and of the inference call alone.

    `cpu` is the processor time of all threads, which others on the machine disturb less.
    """
    loop = LiveLoop(backend, preprocess, (), LiveOptions(warmup=0))
    samples: dict[str, list[float]] = {
        "loop_ms": [],
        "bare_ms": [],
        "loop_cpu_ms": [],
        "bare_cpu_ms": [],
    }
    for block in range(blocks + 1):
        stamps = [_now()]
        loop.run(MemorySource(pictures, length), stop=threading.Event())
        stamps.append(_now())
        for _ in range(length):
            backend.run()
        stamps.append(_now())
        if block:  # the first warms up both
            wall, cpu = np.diff(np.array(stamps), axis=0).T / length / 1e6
            for name, value in zip(samples, (*wall, *cpu), strict=True):
                samples[name].append(float(value))
    return samples


def _now() -> tuple[int, int]:
    return time.perf_counter_ns(), time.process_time_ns()


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


def main() -> None:
    """Measure, print the figures and keep the samples."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--preprocess", choices=tuple(PRESETS))
    parser.add_argument("--source")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--length", type=int, default=50, help="frames a block")
    parser.add_argument("--frames", type=int, default=20_000, help="frames of the memory run")
    parser.add_argument("--opencv-threads", type=int, help="instead of OpenCV's own choice")
    parser.add_argument("--output", type=Path, default=RESULT)
    args = parser.parse_args()
    if args.opencv_threads is not None:
        cv2.setNumThreads(args.opencv_threads)
    backend = open_model(args.model, threads=args.threads)
    preprocess = choose_preprocess(backend.spec, args.preprocess)
    pictures = pictures_of(args.source, 32) if args.source else synthetic_pictures(8)
    cost = measure_cost(backend, preprocess, pictures, args.blocks, args.length)
    growth = measure_growth(backend.spec, preprocess, pictures, args.frames)
    backend.close()

    added = np.subtract(cost["loop_ms"], cost["bare_ms"])
    added_cpu = np.subtract(cost["loop_cpu_ms"], cost["bare_cpu_ms"])
    first, last = growth[1], growth[-1]
    figures: dict[str, Any] = {
        "bare_ms": float(np.median(cost["bare_ms"])),
        "loop_ms": float(np.median(cost["loop_ms"])),
        "added_ms": float(np.median(added)),
        "added_ms_quartiles": np.percentile(added, (25, 75)).tolist(),
        "added_cpu_ms": float(np.median(added_cpu)),
        "added_cpu_ms_quartiles": np.percentile(added_cpu, (25, 75)).tolist(),
        "traced_growth_bytes": last["traced_bytes"] - first["traced_bytes"],
        "rss_growth_bytes": last["rss_bytes"] - first["rss_bytes"],
        "growth_frames": last["frame"] - first["frame"],
    }
    report = {
        "figures": figures,
        "model": args.model.name,
        "model_sha256": backend.spec.sha256,
        "threads": args.threads,
        "opencv_threads": cv2.getNumThreads(),
        "frames_a_block": args.length,
        "board": describe_board(),
        "versions": describe_versions(),
        "samples": {**cost, "growth": growth},
    }
    args.output.parent.mkdir(exist_ok=True)
    write_text(args.output, json.dumps(report, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
