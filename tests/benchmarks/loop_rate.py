"""How many frames a second the loop makes of what the bare inference would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from edge.backends.base import Backend
from edge.live import LiveLoop, LiveOptions
from edge.preprocess import PreprocessSpec
from edge.tensors import U8
from tests.benchmarks.loop_parts import MemorySource
from tests.benchmarks.loop_rivals import bare_call, example_loop

BARE, OURS = "bare inference", "ours"
# Frames after which a loop runs as it goes on.
BEGUN = 10
# Wall and processor time, ms a frame.
Took: TypeAlias = tuple[float, float]
NOT_AHEAD, EXAMPLE = "ours, on one thread", "as the examples have it"


def measure_rate(
    backend: Backend, preprocess: PreprocessSpec, pictures: list[U8], blocks: int, length: int
) -> dict[str, list[list[float]]]:
    """Return for each way of running the model a row a block: ms a frame, and processor ms a frame.

    The latter is of all threads, and disturbed less by others on the machine.
    """

    def ours(is_ahead: bool | None) -> Took:
        loop = LiveLoop(backend, preprocess, (), LiveOptions(warmup=0, is_ahead=is_ahead))
        steady = _Steady(length)
        source = MemorySource(pictures, length, steady.on_read)
        loop.run(source, stop=threading.Event())
        return steady.took()

    def example() -> Took:
        steady = _Steady(length)
        example_loop(backend, preprocess, MemorySource(pictures, length, steady.on_read))
        return steady.took()

    call = bare_call(backend)

    def bare() -> Took:
        steady = _Steady(length)
        for number in range(length):
            steady.on_read(number)
            call()
        return steady.took()

    ways: dict[str, Callable[[], Took]] = {
        BARE: bare,
        OURS: lambda: ours(None),
        NOT_AHEAD: lambda: ours(False),
        EXAMPLE: example,
    }
    samples: dict[str, list[list[float]]] = {name: [] for name in ways}
    for block in range(blocks + 1):
        for name in list(ways) if block % 2 else list(ways)[::-1]:
            took = ways[name]()
            if block:  # the first warms up all of them
                samples[name].append([round(float(ms), 4) for ms in took])
    return samples


class _Steady:
    """Times a block between two of its reads: how a loop starts and ends is no part of its rate."""

    def __init__(self, length: int) -> None:
        self._last = length - 1
        self._stamps: dict[int, tuple[int, int]] = {}

    def on_read(self, number: int) -> None:
        if number in (BEGUN, self._last):
            self._stamps[number] = _now()

    def took(self) -> Took:
        """Return ms, and ms of the processor, from one read to the next."""
        wall_ns, processor_ns = np.subtract(self._stamps[self._last], self._stamps[BEGUN])
        frames = (self._last - BEGUN) * 1e6
        return wall_ns / frames, processor_ns / frames


def _now() -> tuple[int, int]:
    return time.perf_counter_ns(), time.process_time_ns()


def summarize_rate(samples: dict[str, list[list[float]]]) -> dict[str, dict[str, float]]:
    """Return of each way the median ms, and the rate against the bare call's in the same blocks.

    `rate_of_best` compares the fastest quarter of the blocks of each: what is left of a difference
    when others on the machine disturb as little as they do.
    """
    bare = np.array(samples[BARE])
    figures = {}
    for name, rows in samples.items():
        way = np.array(rows)
        low, middle, high = np.percentile(bare[:, 0] / way[:, 0], (25, 50, 75))
        best = [np.percentile(times[:, 0], 12.5) for times in (bare, way)]
        figures[name] = {
            "median_ms": round(float(np.median(way[:, 0])), 3),
            "rate": round(float(middle), 4),
            "rate_quartile_1": round(float(low), 4),
            "rate_quartile_3": round(float(high), 4),
            "rate_of_best": round(float(best[0] / best[1]), 4),
            "processor_ms": round(float(np.median(way[:, 1])), 3),
        }
    return figures
