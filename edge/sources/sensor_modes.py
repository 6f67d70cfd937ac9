"""Which mode of a sensor to run, and which size to ask of the image processor behind it.

A sensor reads its pixels out in a few modes. Some leave out the border: an IMX219 asked for
640x480 takes a mode of that size, and sees a fifth of the scene. A model would then be shown a
close-up that nobody chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A mode sees the whole scene if it reads this much of the largest area that any mode reads: an
# OV5647 leaves out two hundredths where it reads every second pixel.
WHOLE = 0.95
# The image processors shrink a sensor's 3000 rows to no less than this with certainty.
SMALLEST = 64
# What picamera2 asks of a camera for video.
DEFAULT_FPS = 30.0
# Modes are named by round numbers that they miss by a little.
FAST_ENOUGH = 0.99


@dataclass(frozen=True, slots=True)
class SensorMode:
    """A mode as picamera2's `sensor_modes` describes it.

    `width` and `height` are what it puts out, `seen` the (width, height) of the sensor's pixels
    that it comes from, `fps` the highest rate.
    """

    width: int
    height: int
    bit_depth: int
    fps: float
    seen: tuple[int, int]

    @property
    def area_seen(self) -> int:
        return self.seen[0] * self.seen[1]

    def __str__(self) -> str:
        seen = f"{self.seen[0]}x{self.seen[1]}"
        return f"{self.width}x{self.height}, {self.bit_depth} bits, {self.fps:g} fps, sees {seen}"


def read_modes(modes: Sequence[Mapping[str, Any]]) -> list[SensorMode]:
    """Return those of picamera2's modes that say what they see; a USB camera's do not."""
    wanted = {"size", "bit_depth", "fps", "crop_limits"}
    return [
        SensorMode(
            width=int(mode["size"][0]),
            height=int(mode["size"][1]),
            bit_depth=int(mode["bit_depth"]),
            fps=float(mode["fps"]),
            seen=(int(mode["crop_limits"][2]), int(mode["crop_limits"][3])),
        )
        for mode in modes
        if wanted <= mode.keys()
    ]


def whole_modes(modes: Sequence[SensorMode]) -> list[SensorMode]:
    """Return the modes that leave out nothing of the scene."""
    largest = max((mode.area_seen for mode in modes), default=0)
    return [mode for mode in modes if mode.area_seen >= WHOLE * largest]


def stream_size(whole: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Return the (width, height) of a stream that shows the whole scene with that short side.

    Both are even, as a stream's must be; a short side below `SMALLEST` is multiplied.

    Args: whole: (width, height) of what the sensor sees.
    """
    short_side *= -(-SMALLEST // short_side)
    short_side += short_side % 2
    long_side = 2 * round(short_side * max(whole) / min(whole) / 2)
    return (long_side, short_side) if whole[0] >= whole[1] else (short_side, long_side)


def choose_mode(
    modes: Sequence[SensorMode], size: tuple[int, int], fps: float | None
) -> SensorMode | None:
    """Return the mode that sees the whole scene, is fast enough, and reads the least for it.

    Reading less takes less power and memory; but no mode is taken that would have to be enlarged
    to `size`. Of equal ones, the finest is taken. Where none is fast enough the fastest will do.

    Args: size: (width, height) of the stream; fps: the rate that was asked for.
    """
    whole = whole_modes(modes)
    enough = [mode for mode in whole if mode.width >= size[0] and mode.height >= size[1]] or whole
    if not enough:
        return None
    wanted = min(DEFAULT_FPS if fps is None else fps, max(mode.fps for mode in enough))
    fast = [mode for mode in enough if mode.fps >= FAST_ENOUGH * wanted]
    return min(fast, key=lambda mode: (mode.width * mode.height, -mode.bit_depth))
