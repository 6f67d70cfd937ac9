"""The machine that the loop runs on: what it is, and how it feels."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import edge

ROOT = Path("/")

# What get_throttled says: bits 0-3 of now, the same 16 bits higher of any time since boot.
# (https://www.raspberrypi.com/documentation/computers/os.html#get_throttled)
THROTTLE_FLAGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
SINCE_BOOT = 16
_PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "ai-edge-litert",
    "tflite-runtime",
    "onnxruntime",
    "picamera2",
)
# The cores of the Raspberry Pis, as /proc/cpuinfo numbers them.
_ARM_CORES = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}


@dataclass(frozen=True, slots=True)
class Health:
    """Temperature in Celsius, and the Pi's throttle flags; None where the machine does not say."""

    temperature_c: float | None = None
    throttled: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return what is known, with the names of the flags that are on."""
        known: dict[str, object] = {}
        if self.temperature_c is not None:
            known["temperature_c"] = self.temperature_c
        if self.throttled is not None:
            known["throttled"] = self.flags_now
            known["throttled_since_boot"] = self.flags_since_boot
        return known

    @property
    def flags_now(self) -> list[str]:
        return _flag_names(self.throttled or 0)

    @property
    def flags_since_boot(self) -> list[str]:
        return _flag_names((self.throttled or 0) >> SINCE_BOOT)


class HealthReader:
    """Reads how the board feels, again and again: what there is to read is looked for once.

    A reading takes some 0.05 ms where sysfs has it all.
    """

    def __init__(self, root: Path = ROOT, ask: Callable[[], str] | None = None) -> None:
        """Args: ask: gives what `vcgencmd get_throttled` says, where sysfs is silent."""
        zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
        # The processor's own zone is named cpu-thermal on a Pi and x86_pkg_temp on a PC.
        zones.sort(key=lambda zone: not any(w in _text(zone / "type") for w in ("cpu", "x86")))
        self._zones = [zone / "temp" for zone in zones]
        self._throttled = next(
            root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled"), None
        )
        self._ask = ask or _vcgencmd

    def read(self) -> Health:
        """Return how the board feels now."""
        temperatures_c = (_celsius(_text(zone)) for zone in self._zones)
        known_c = next((t for t in temperatures_c if t is not None), None)
        return Health(known_c, _bits(_text(self._throttled) if self._throttled else self._ask()))


def read_health(root: Path = ROOT, ask: Callable[[], str] | None = None) -> Health:
    """Return how the board feels now. Args: as of `HealthReader`."""
    return HealthReader(root, ask).read()


def describe_board(root: Path = ROOT) -> dict[str, str]:
    """Return what the machine is, by name; what cannot be found out is left out."""
    facts = {
        "model": _text(root / "proc/device-tree/model")
        or _text(root / "sys/class/dmi/id/product_name"),
        "cpu": _cpu(_text(root / "proc/cpuinfo")),
        "cores": str(len(os.sched_getaffinity(0))),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "governor": _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }
    return {name: fact for name, fact in facts.items() if fact}


def describe_versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of what it computes with."""
    versions = {"python": platform.python_version(), "edge-deploy": edge.__version__}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _flag_names(bits: int) -> list[str]:
    return [name for bit, name in enumerate(THROTTLE_FLAGS) if bits >> bit & 1]


def _celsius(text: str) -> float | None:
    try:
        return int(text) / 1000
    except ValueError:
        return None


def _bits(text: str) -> int | None:
    try:
        return int(text.removeprefix("throttled=").removeprefix("0x"), 16)
    except ValueError:
        return None


def _vcgencmd() -> str:
    """Return what the Pi's own tool says, "" where it is not installed or does not answer."""
    tool = shutil.which("vcgencmd")
    if tool is None:
        return ""
    try:
        done = subprocess.run(
            [tool, "get_throttled"], capture_output=True, text=True, timeout=1, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _cpu(cpuinfo: str) -> str:
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    facts = {name.strip(): value.strip() for name, _, value in lines}
    part = facts.get("CPU part", "")
    return facts.get("model name") or _ARM_CORES.get(part, part)


def _text(path: Path) -> str:
    """Return the text of a small file without the NUL that device trees end in; "" without it."""
    try:
        return path.read_text(errors="replace").strip().strip("\0")
    except OSError:
        return ""
