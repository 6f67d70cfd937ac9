"""The kernel's vivid camera: plugged in, told what to do, and unplugged.

Its controls are described in the kernel's documentation (admin-guide/media/vivid).
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

DEVICE = Path("/dev/video0")
# One camera that is only that, of the kind "webcam".
OPTIONS = ("n_devs=1", "node_types=0x1", "input_types=0x00")
PATTERNS = {"75% bars": 0, "bars": 1, "lying bars": 3, "noise": 21}
NO_TEXT = 2
UNPLUG_S = 10.0


def plug_in() -> None:
    """Let the camera appear. Its stamps are of the moment in which a frame begins."""
    _must("modprobe", "vivid", *OPTIONS)
    while not DEVICE.exists():
        time.sleep(0.01)
    control(timestamp_source=1)


def unplug() -> None:
    """Let the camera disappear, as soon as nobody has it open."""
    until_s = time.monotonic() + UNPLUG_S
    while subprocess.run(["rmmod", "vivid"], capture_output=True, check=False).returncode:
        if time.monotonic() > until_s:
            _must("rmmod", "vivid")
        time.sleep(0.02)


def control(**values: int) -> None:
    """Set controls of the camera, also while another process streams."""
    pairs = ",".join(f"{name}={value}" for name, value in values.items())
    _must("v4l2-ctl", "-d", str(DEVICE), "-c", pairs)


def _must(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
