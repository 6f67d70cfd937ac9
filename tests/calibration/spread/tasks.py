"""What other processes are told to do in tests: they find it here by its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.errors import CalibrationError


class OddError(CalibrationError):
    """An error of ours that cannot be pickled as it is."""

    def __init__(self, number: int, where: str) -> None:
        super().__init__(f"number {number} of {where} is odd")


@dataclass(frozen=True)
class Square:
    """Squares a number, and says which process did.

    `odd`: the one that is an error; `slow_s`: how long each takes; `needed`: a file to read.
    """

    odd: int | None = None
    slow_s: float = 0.0
    needed: Path | None = None

    def open(self) -> Square:
        return self

    def close(self) -> None:
        pass

    def files(self, _: int) -> Sequence[Path]:
        return [self.needed] if self.needed else []

    def run(self, number: int) -> tuple[int, int]:
        time.sleep(self.slow_s)
        if number == self.odd:
            raise OddError(number, "a test")
        return number * number, os.getpid()


@dataclass(frozen=True)
class Waiting(Square):
    """Takes as many seconds as the number says."""

    def run(self, number: int) -> tuple[int, int]:
        time.sleep(number)
        return super().run(number)


@dataclass(frozen=True)
class Deadly(Square):
    """Takes its process with it at `number`: once where `mark` can be made, else each time."""

    number: int = 0
    mark: Path | None = None

    def run(self, number: int) -> tuple[int, int]:
        if number == self.number and not (self.mark and self.mark.exists()):
            if self.mark:
                self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(number)


@dataclass(frozen=True)
class Counting(Square):
    """Leaves a file in `folder` for every time that it is opened."""

    folder: Path = Path()

    def open(self) -> Square:
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return self
