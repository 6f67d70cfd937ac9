"""Does everything that the lab looks at, and leaves what came of it in OUT."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

from tests.v4l2_lab.inside import vivid
from tests.v4l2_lab.inside.loop import OUT, Loop

HOUR_S = 3600
# What the camera has of that which OpenCV tries by itself (autosetup_capture_mode_v4l2), and MJPG,
# which it does not have.
FORMATS = (
    *("YUYV", "UYVY", "YU12", "YV12", "NV12", "NV21", "RGB3", "BGR3", "AR24", "XR24"),
    *("BA81", "GBRG", "GRBG", "MJPG"),
)
BARS = ("75% bars", "bars", "lying bars")
SIZES = ((640, 480), (320, 180), (1280, 720))


def boot_minus_monotonic_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()


def look_at_colours() -> None:
    from tests.v4l2_lab.inside.colours import look

    looks = [look(None, pattern, SIZES[0]) for pattern in BARS]
    looks += [look(None, "bars", size) for size in SIZES[1:]]
    looks += [look(name, "bars", SIZES[0]) for name in FORMATS]
    (OUT / "colours.json").write_text(json.dumps(looks))


def run_undisturbed() -> None:
    vivid.control(test_pattern=vivid.PATTERNS["bars"], osd_text_mode=vivid.NO_TEXT)
    with Loop("still", "--frames", "40", "--fps", "10"):
        pass


def stamp_ahead_of_time() -> None:
    # The end of a frame, which the driver reckons before it is there.
    vivid.control(test_pattern=vivid.PATTERNS["noise"], timestamp_source=0)
    with Loop("ahead", "--pixel-format", "YUYV", "--fps", "15", kind="onnx") as loop:
        with loop.deed("disconnect"):
            vivid.control(disconnect=1)
            loop.camera_is_back()
        loop.end()
    vivid.control(test_pattern=vivid.PATTERNS["bars"], timestamp_source=1)


def disturb_time() -> None:
    with Loop("time", "--fps", "5") as loop:
        for seconds in (0.05, 0.15, 0.4, 2.0, 12.0):
            with loop.deed(f"stop {seconds:g} s"):
                loop.stop_for(seconds)
        for seconds in (HOUR_S, -HOUR_S):
            with loop.deed(f"clock {seconds:+d} s"):
                time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
        with loop.deed("sleep") as facts:
            before_ns = boot_minus_monotonic_ns()
            Path("/sys/power/state").write_text("mem")  # whoever plays this machine wakes it
            facts["slept_ns"] = boot_minus_monotonic_ns() - before_ns
        loop.end()


def disturb_camera() -> None:
    with Loop("camera", "--fps", "10") as loop:
        with loop.deed("drop 30 %"):
            vivid.control(percentage_of_dropped_buffers=30)
            loop.intervals(8)
            vivid.control(percentage_of_dropped_buffers=0)
        with loop.deed("mark a buffer as broken"):
            vivid.control(inject_v4l2_buf_flag_error=1)
        with loop.deed("fail for good"):
            vivid.control(inject_fatal_streaming_error=1)
            loop.camera_is_back()
        with loop.deed("disconnect"):
            vivid.control(disconnect=1)
            loop.camera_is_back()
        with loop.deed("unplug") as facts:
            # As long as somebody has it open, a disconnected camera stays so.
            held = os.open(vivid.DEVICE, os.O_RDWR)
            vivid.control(disconnect=1)
            time.sleep(1.0)
            os.close(held)
            vivid.unplug()
            facts["gone"] = not vivid.DEVICE.exists()
            time.sleep(3.0)
            vivid.plug_in()
            loop.camera_is_back()
        loop.end()


def lose_camera() -> None:
    with Loop("lost", "--fps", "10", "--max-outage", "4") as loop:
        loop.intervals(2)
        held = os.open(vivid.DEVICE, os.O_RDWR)
        vivid.control(disconnect=1)
    os.close(held)
    with Loop("stalled", "--fps", "10", "--max-outage", "4") as loop:
        loop.intervals(2)
        vivid.control(percentage_of_dropped_buffers=100)
    vivid.control(percentage_of_dropped_buffers=0)
    with Loop("refused", "--pixel-format", "MJPG"):
        pass


PARTS = (
    look_at_colours,
    run_undisturbed,
    stamp_ahead_of_time,
    disturb_time,
    disturb_camera,
    lose_camera,
)


def main() -> None:
    vivid.plug_in()
    facts = {"kernel": platform.release(), "python": platform.python_version()}
    for name in ("numpy", "opencv-python-headless", "ai-edge-litert", "onnxruntime"):
        facts[name] = version(name)
    (OUT / "versions.json").write_text(json.dumps(facts))
    for part in PARTS:
        part()


if __name__ == "__main__":
    main()
