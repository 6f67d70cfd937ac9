"""Machines to examine: a folder for their files, and canned answers for their programs.

The boards' files are as the kernel and the firmware's documentation describe them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.doctor.interpreter import Python
from edge.doctor.machine import Machine, Said

PI_3 = "Raspberry Pi 3 Model B Plus Rev 1.3"
PI_4 = "Raspberry Pi 4 Model B Rev 1.5"
PI_5 = "Raspberry Pi 5 Model B Rev 1.0"
ZERO_2 = "Raspberry Pi Zero 2 W Rev 1.0"
PACKAGES = {"numpy": "1.26.4", "picamera2": "0.3.30", "ai-edge-litert": "2.3.0"}
POLICY = "sys/devices/system/cpu/cpufreq/policy0"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
# What every test leaves as it is, but for the file that it is about.
HEALTHY = {
    "proc/meminfo": (
        "MemTotal: 3884240 kB\nMemAvailable: 3200000 kB\nCmaTotal: 524288 kB\nCmaFree: 441276 kB\n"
    ),
    "proc/loadavg": "0.10 0.05 0.01 1/150 1234\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
    "proc/mounts": "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n",
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd crc32 cpuid\nCPU part\t: 0xd08\n",
    "boot/firmware/config.txt": "camera_auto_detect=1\ndtoverlay=vc4-kms-v3d\n[cm4]\notg_mode=1\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "45277\n",
    "sys/class/video4linux/v4l-subdev0/name": "imx708\n",
    "dev/media0": "",
    "dev/video0": "",
    "run/systemd/timesync/synchronized": "",
    f"{POLICY}/scaling_governor": "performance\n",
    f"{POLICY}/scaling_max_freq": "1800000\n",
    f"{POLICY}/cpuinfo_max_freq": "1800000\n",
    THROTTLED: "0\n",
}


def write(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """Write files below `root`; None removes one."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink(missing_ok=True)
        elif isinstance(content, str):
            path.write_text(content)
        else:
            path.write_bytes(content)
    return root


class Answers:
    """Stands in for every program: `said` by a word of its command; others are not installed."""

    def __init__(self, said: Mapping[str, Said]) -> None:
        self.said = said
        self.asked: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str], timeout_s: float) -> Said:
        assert 0 < timeout_s <= 300
        self.asked.append(command)
        return next((said for word, said in self.said.items() if word in command), Said(None))


def timings(*rows: Mapping[str, object]) -> Said:
    """Return what the child says that times models."""
    return Said(0, json.dumps(rows) + "\n")


def timed(
    path: str, best_ms: float, *, quantized: bool, kernels: str = "XNNPACK"
) -> dict[str, object]:
    return {
        "path": path,
        "error": "",
        "runtime": "ai-edge-litert 2.3.0",
        "kernels": kernels,
        "quantized": quantized,
        "best_ms": best_ms,
    }


def venv(root: Path, *, sees_system: bool | None = True, **facts: object) -> Python:
    """Return a Python 3.11 in a virtual environment of the system's."""
    prefix = root / "home/pi/edge"
    prefix.mkdir(parents=True, exist_ok=True)
    if sees_system is not None:
        flag = str(sees_system).lower()
        (prefix / "pyvenv.cfg").write_text(f"include-system-site-packages = {flag}\n")
    known: dict[str, object] = {
        "version": (3, 11, 2),
        "bits": 64,
        "executable": f"{prefix}/bin/python",
        "prefix": str(prefix),
        "base_prefix": "/usr",
        "is_managed": True,
        "packages": PACKAGES,
    }
    return Python(**{**known, **facts})  # type: ignore[arg-type]


def pi(
    root: Path,
    files: Mapping[str, str | bytes | None] | None = None,
    said: Mapping[str, Said] | None = None,
    *,
    model: str = PI_4,
    python: Python | None = None,
    may_open: Callable[[Path], bool] = lambda _: True,
    models: tuple[str, ...] = (),
) -> Machine:
    """Return a healthy Pi with a camera, but for `files` and what programs have `said`."""
    write(root, HEALTHY)
    write(root, {"proc/device-tree/model": f"{model}\0", **(files or {})})
    answers = {"edge.doctor.child_cameras": Said(0, '["imx708"]\n'), **(said or {})}
    answers.setdefault("edge.doctor.child_import", Said(0, "1.0\n"))
    return Machine(
        root=root,
        run=Answers(answers),
        python=python or venv(root),
        kernel="aarch64",
        cores=4,
        log_dir=Path("/home/pi"),
        models=models,
        may_open=may_open,
        free_bytes=lambda _: 10 << 30,
    )


def bare(root: Path) -> Machine:
    """Return a machine of which nothing can be found out."""
    return Machine(
        root=root,
        run=Answers({}),
        python=venv(root, sees_system=None, packages={}),
        kernel="",
        cores=1,
        log_dir=root,
        may_open=lambda _: False,
        free_bytes=lambda _: 0,
    )
