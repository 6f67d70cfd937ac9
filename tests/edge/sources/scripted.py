"""A camera whose faults are written down beforehand.

    script = Script(Frames(10), Stall(3.0), Fail("unplugged"), Frames(5))
    source = keep_open(script.open, ...)

The script is that of the world, not of one opening: a camera that is opened again goes on in it
where the last one stopped. What is opened but lost gives errors until it is closed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from edge.sources.base import Frame, SourceError, Timestamps
from edge.tensors import U8, Array


def noisy(number: int) -> U8:
    """Return a picture that no other number has, uint8 [8, 8, 3], as a sensor gives it."""
    return np.random.default_rng(number).integers(40, 200, (8, 8, 3), dtype=np.uint8)


def black(_: int) -> U8:
    return np.zeros((8, 8, 3), np.uint8)


def frozen(_: int) -> U8:
    return noisy(0)


def cut_off(number: int) -> U8:
    return noisy(number)[:0]


def of_floats(number: int) -> Array:
    return noisy(number).astype(np.float32)


def other_size(number: int) -> U8:
    return np.repeat(noisy(number), 2, axis=0)


@dataclass(frozen=True)
class Frames:
    """So many frames, `every_s` apart; `missed` of them before each are not seen by the reader."""

    count: int
    picture: Callable[[int], Array] = noisy
    every_s: float = 0.0
    missed: int = 0


@dataclass(frozen=True)
class Fail:
    """`read` raises, and so does opening it again so many times."""

    text: str
    refusals: int = 0
    error: type[SourceError] = SourceError


@dataclass(frozen=True)
class Stall:
    """`read` does not come back for so long, or until it is closed."""

    seconds: float = 1e6


@dataclass(frozen=True)
class Hang:
    """`read` and `close` come back only when `Script.released` is set."""


@dataclass(frozen=True)
class End:
    """`read` returns None: the source is at its end."""


Step: TypeAlias = Frames | Fail | Stall | Hang | End


@dataclass
class Script:
    """What a camera does; `opened` counts the openings, `given` the frames that were read."""

    steps: deque[Step]
    opened: int = 0
    given: int = 0
    refusals: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    timestamps: Timestamps = "sensor"
    name: str = "scripted"

    def __init__(self, *steps: Step) -> None:
        self.steps = deque(steps)
        self.released = threading.Event()

    def open(self) -> ScriptedCamera:
        """Open it. Raises: SourceError: as the last Fail says."""
        if self.refusals:
            self.refusals -= 1
            raise SourceError(f"{self.name}: there is no such camera")
        self.opened += 1
        return ScriptedCamera(self)


class ScriptedCamera:
    """One opening. At the end of the script it stalls until it is closed."""

    is_live = True
    broken_count = 0

    def __init__(self, script: Script) -> None:
        self.name = script.name
        self.timestamps = script.timestamps
        self._script = script
        self._sequence = 0
        self._closed = threading.Event()
        self._is_hanging = False
        self._lost: SourceError | None = None

    def read(self) -> Frame | None:
        script = self._script
        while self._lost is None and not self._closed.is_set():
            step = script.steps.popleft() if script.steps else Stall()
            if isinstance(step, Frames):
                return self._frame(step)
            if isinstance(step, End):
                return None
            if isinstance(step, Hang):
                self._is_hanging = True
                script.released.wait()
            elif isinstance(step, Stall):
                self._closed.wait(step.seconds)
            else:
                script.refusals = step.refusals
                self._lost = step.error(f"{self.name}: {step.text}")
        if self._lost is not None:
            raise self._lost
        return None

    def _frame(self, step: Frames) -> Frame | None:
        script = self._script
        if step.count > 1:
            rest = Frames(step.count - 1, step.picture, step.every_s, step.missed)
            script.steps.appendleft(rest)
        if self._closed.wait(step.every_s):
            return None
        self._sequence += step.missed
        arrived_ns = time.monotonic_ns()
        pixels = step.picture(script.given)
        frame = Frame(pixels, "rgb", self._sequence, arrived_ns - 10**6, arrived_ns)
        self._sequence += 1
        script.given += 1
        return frame

    def close(self) -> None:
        self._closed.set()
        if self._is_hanging:
            self._script.released.wait()
