"""Holds what the source asks of a Pi's camera against picamera2's own rules, and prints faults.

A Pi's camera is not here, but the code that takes its configuration is: a Picamera2 is told that
it is one, with the modes of a sensor, and checks each board's. What the bytes of a format mean is
held against picamera2's own pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from edge.sources.picamera2_setup import BOARDS, plan
from edge.sources.pixel_formats import Stream
from tests.edge.sources.sensors import IMX219, IMX477, IMX708, OV5647, Mode, sensor_modes
from tests.pi_lab.inside.virtual_camera import adapt

SENSORS = {"imx219": IMX219, "imx477": IMX477, "imx708": IMX708, "ov5647": OV5647}
# Those that picamera2 makes pictures of without a conversion.
RGB_FORMATS = ("BGR888", "RGB888", "XBGR8888", "XRGB8888")
FPS = 20.0


def told_to_be(board: str, modes: tuple[Mode, ...]) -> Any:  # noqa: ANN401 - picamera2 has no types
    """Return a Picamera2 without a camera behind it, on a board with a sensor."""
    from picamera2 import Picamera2
    from picamera2.platform import Platform

    class Told(Picamera2):  # type: ignore[misc]
        platform = Platform[board]
        camera_controls = {  # noqa: RUF012
            "NoiseReductionMode": (0, 4, 0),
            "FrameDurationLimits": (1, 10**6, 33333),
        }

        def __del__(self) -> None:
            """Nothing was opened."""

    camera = Told.__new__(Told)
    camera._reset_flags()
    camera.camera = object()
    camera.camera_properties_ = {"ColorFilterArrangement": 0}
    camera.sensor_modes_ = sensor_modes(modes)
    camera.sensor_format = camera.sensor_modes_[0]["format"]
    Picamera2.platform = Platform[board]
    return camera


def setting_faults() -> Iterator[str]:
    for board in BOARDS:
        for name, modes in SENSORS.items():
            camera = told_to_be(board, modes)
            setup = plan(camera, 256, FPS)
            configuration = camera.create_video_configuration(**setup.wanted)
            try:
                camera.check_camera_config(configuration)
            except RuntimeError as error:
                yield f"{board}, {name}: {error}"
            if configuration["controls"]["FrameDurationLimits"] != (50000, 50000):
                yield f"{board}, {name}: {configuration['controls']}"
            if configuration["raw"] is not None or configuration["buffer_count"] != 3:
                yield f"{board}, {name}: more memory than is needed: {configuration}"
            sensor = configuration["sensor"]
            if (sensor["output_size"], sensor["bit_depth"]) not in [mode[:2] for mode in modes]:
                yield f"{board}, {name}: no such mode: {sensor}"


def refused() -> bool:
    """Return whether picamera2 refuses what a Pi 4 cannot do: else its checks are no checks."""
    camera = told_to_be("VC4", IMX219)
    setup = plan(camera, 256, FPS)
    setup.wanted["lores"]["format"] = "BGR888"
    try:
        camera.check_camera_config(camera.create_video_configuration(**setup.wanted))
    except RuntimeError:
        return True
    return False


def format_faults() -> Iterator[str]:
    from picamera2.request import Helpers

    class NoCamera:
        """Helpers want one, and do not look at it."""

    width, height = 50, 6
    for name in RGB_FORMATS:
        row = width * (4 if "8888" in name else 3)
        for padding in (0, 32):
            stride = row + padding
            buffer = np.random.default_rng(1).integers(0, 256, stride * height, dtype=np.uint8)
            config = {"format": name, "size": (width, height), "stride": stride}
            picture = Helpers(NoCamera()).make_image(buffer, config)
            stream = Stream("main", name, width, height, stride)
            ours = stream.picture(buffer)
            if stream.layout.color == "bgr":
                ours = ours[:, :, ::-1]
            if not np.array_equal(np.asarray(picture.convert("RGB")), ours):
                yield f"{name} with {padding} bytes of padding is another picture for picamera2"


if __name__ == "__main__":
    adapt()
    faults = [*setting_faults(), *format_faults()]
    if not refused():
        faults.append("RGB on the second output of a Pi 4 is not refused")
    print(json.dumps(faults))
