"""How old a label is, with a camera that has its own pace: our loop against a plain one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.backends.base import Backend
from edge.live import LiveLoop, LiveOptions, Result
from edge.preprocess import PreprocessSpec
from edge.sources.base import Frame
from edge.tensors import U8
from tests.benchmarks.loop_rivals import QueueCamera, example_loop

MS = 1_000_000
# OpenCV's own number of buffers, and that of our V4L2 source.
OPENCV_BUFFERS, OUR_BUFFERS = 4, 2
# What may come on top of the camera's interval and the inference.
ALLOWED_MS = 2.0
# A camera that the model keeps up with, and one that gives twice as many frames.
PACES = {"camera slower than the model": 2.0, "camera faster than the model": 0.5}


def measure_ages(
    backend: Backend, spec: PreprocessSpec, pictures: list[U8], seconds: float, rounds: int
) -> list[dict[str, Any]]:
    """Return a row a loop and pace: the ages in ms of every label, and the inferences of ours.

    The loops take turns, `seconds` each; the paces hang on the inference, measured just before.
    """
    bare_ns = _median_ns(backend.run, 50)
    rows: list[dict[str, Any]] = []
    for pace, factor in PACES.items():
        interval_ns = round(bare_ns * factor)
        loops: dict[str, Callable[[], tuple[list[float], list[float]]]] = {
            "ours": lambda i=interval_ns: _ours(  # type: ignore[misc]
                backend, spec, QueueCamera(pictures, i, round(seconds * 1e9), OUR_BUFFERS)
            ),
            "plain, driver with 4 buffers": lambda i=interval_ns: _plain(  # type: ignore[misc]
                backend, spec, QueueCamera(pictures, i, round(seconds * 1e9), OPENCV_BUFFERS)
            ),
            "plain, network stream": lambda i=interval_ns: _plain(  # type: ignore[misc]
                backend, spec, QueueCamera(pictures, i, round(seconds * 1e9), None)
            ),
        }
        samples: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in loops}
        for number in range(rounds):
            for name in list(loops) if number % 2 else list(loops)[::-1]:
                for kept, new in zip(samples[name], loops[name](), strict=True):
                    kept.extend(new)
        rows += [
            {
                "camera": pace,
                "interval_ms": interval_ns / MS,
                "loop": name,
                "ages_ms": ages_ms,
                "inferences_ms": inferences_ms,
            }
            for name, (ages_ms, inferences_ms) in samples.items()
        ]
    return rows


def summarize_ages(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return percentiles of each row; of ours also the bound that it is judged by.

    The bound is the camera's interval, the inference and 2 ms: with the inference's median, and
    with its own 99th percentile, as a slow inference is not the loop's doing.
    """
    figures = []
    for row in rows:
        ages = np.array(row["ages_ms"])
        p50, p99 = np.percentile(ages, (50, 99))
        figure = {
            "camera": row["camera"],
            "loop": row["loop"],
            "labels": len(ages),
            "p50_ms": round(float(p50), 2),
            "p99_ms": round(float(p99), 2),
            "max_ms": round(float(ages.max()), 2),
        }
        if row["inferences_ms"]:
            inference = np.percentile(row["inferences_ms"], (50, 99))
            bounds = row["interval_ms"] + inference + ALLOWED_MS
            figure["bound_by_median_ms"] = round(float(bounds[0]), 2)
            figure["bound_by_p99_ms"] = round(float(bounds[1]), 2)
        figures.append(figure)
    return figures


def _ours(
    backend: Backend, spec: PreprocessSpec, camera: QueueCamera
) -> tuple[list[float], list[float]]:
    ages_ms: list[float] = []
    timed = _Timed(backend)

    def note(result: Result) -> None:
        ages_ms.append(result.age_ns / MS)

    loop = LiveLoop(timed, spec, (), LiveOptions(warmup=0))
    loop.run(camera, stop=threading.Event(), on_result=note)
    return ages_ms, timed.times_ms


def _plain(
    backend: Backend, spec: PreprocessSpec, camera: QueueCamera
) -> tuple[list[float], list[float]]:
    ages_ms: list[float] = []

    def note(frame: Frame) -> None:
        ages_ms.append((time.monotonic_ns() - frame.captured_ns) / MS)

    example_loop(backend, spec, camera, note)
    return ages_ms, []


class _Timed:
    """A backend that notes how long each of its inferences took."""

    def __init__(self, backend: Backend) -> None:
        self.spec = backend.spec
        self.input_view = backend.input_view
        self.close = backend.close
        self.times_ms: list[float] = []
        self._run = backend.run

    def run(self) -> Any:  # noqa: ANN401 - as the backend's
        begin_ns = time.perf_counter_ns()
        scores = self._run()
        self.times_ms.append((time.perf_counter_ns() - begin_ns) / MS)
        return scores


def _median_ns(run: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(count):
        begin_ns = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - begin_ns)
    return float(np.median(times))
