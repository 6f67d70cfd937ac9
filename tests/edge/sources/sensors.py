"""The modes of the Pi's camera modules, as picamera2 lists them on a Pi.

As users of them have shown: size, bits, frames per second, and the part of the sensor's pixels
(left, top, width, height) that is read.
"""

from __future__ import annotations

from typing import Any

Mode = tuple[tuple[int, int], int, float, tuple[int, int, int, int]]

IMX219: tuple[Mode, ...] = (  # Camera Module 2
    ((640, 480), 10, 103.33, (1000, 752, 1280, 960)),
    ((1640, 1232), 10, 41.85, (0, 0, 3280, 2464)),
    ((1920, 1080), 10, 47.57, (680, 692, 1920, 1080)),
    ((3280, 2464), 10, 21.19, (0, 0, 3280, 2464)),
    ((640, 480), 8, 103.33, (1000, 752, 1280, 960)),
    ((1640, 1232), 8, 41.85, (0, 0, 3280, 2464)),
    ((1920, 1080), 8, 47.57, (680, 692, 1920, 1080)),
    ((3280, 2464), 8, 21.19, (0, 0, 3280, 2464)),
)
IMX477: tuple[Mode, ...] = (  # HQ Camera
    ((1332, 990), 10, 120.05, (696, 528, 2664, 1980)),
    ((2028, 1080), 12, 50.03, (0, 440, 4056, 2160)),
    ((2028, 1520), 12, 40.01, (0, 0, 4056, 3040)),
    ((4056, 3040), 12, 10.0, (0, 0, 4056, 3040)),
)
IMX708: tuple[Mode, ...] = (  # Camera Module 3
    ((1536, 864), 10, 120.13, (768, 432, 3072, 1728)),
    ((2304, 1296), 10, 56.03, (0, 0, 4608, 2592)),
    ((4608, 2592), 10, 14.35, (0, 0, 4608, 2592)),
)
OV5647: tuple[Mode, ...] = (  # Camera Module 1
    ((640, 480), 10, 58.92, (16, 0, 2560, 1920)),
    ((1296, 972), 10, 43.25, (0, 0, 2592, 1944)),
    ((1920, 1080), 10, 30.62, (348, 434, 1928, 1080)),
    ((2592, 1944), 10, 15.63, (0, 0, 2592, 1944)),
)


def sensor_modes(modes: tuple[Mode, ...]) -> list[dict[str, Any]]:
    """Return the modes in picamera2's form."""
    return [
        {
            "format": f"SRGGB{bits}_CSI2P",
            "unpacked": f"SRGGB{bits}",
            "bit_depth": bits,
            "size": size,
            "fps": fps,
            "crop_limits": seen,
            "exposure_limits": (75, 11766829),
        }
        for size, bits, fps, seen in modes
    ]
