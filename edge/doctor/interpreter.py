"""The Python that runs us and will run the loop, and the shell lines that mend it."""

from __future__ import annotations

import shlex
import struct
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path


def installed() -> dict[str, str]:
    """Return the version of each distribution, by its name in small letters with hyphens."""
    found: dict[str, str] = {}
    for one in distributions():
        # A damaged one has no metadata; the first on the path is what Python imports.
        with suppress(KeyError, OSError, ValueError):
            name = str(one.metadata["Name"] or "").lower().replace("_", "-")
            if name:
                found.setdefault(name, str(one.version))
    return found


def _is_managed() -> bool:
    return (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists()


@dataclass(frozen=True, slots=True)
class Python:
    """The Python that runs us, and will run the loop. `packages` maps names to versions."""

    version: tuple[int, int, int] = sys.version_info[:3]
    bits: int = 8 * struct.calcsize("P")
    executable: str = sys.executable
    prefix: str = sys.prefix
    base_prefix: str = sys.base_prefix
    # Debian's mark on a Python whose packages apt looks after (PEP 668).
    is_managed: bool = field(default_factory=_is_managed)
    packages: Mapping[str, str] = field(default_factory=installed)

    @property
    def is_venv(self) -> bool:
        return self.prefix != self.base_prefix

    @property
    def sees_system(self) -> bool | None:
        """Whether a virtual environment sees the system's packages; None where it does not say."""
        try:
            text = (Path(self.prefix) / "pyvenv.cfg").read_text(errors="replace")
        except OSError:
            return None
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "include-system-site-packages":
                return {"true": True, "false": False}.get(value.strip().lower())
        return None

    @property
    def way_to_system(self) -> str:
        """The shell line that makes this Python see the system's packages, "" where it does.

        Over an environment that is there, venv changes the flag and keeps what is installed; the
        system's packages are made for the system's Python alone.
        """
        new = "/usr/bin/python3 -m venv --system-site-packages"
        place = shlex.quote(self.prefix)
        if self.base_prefix != "/usr":
            return f"{new} --clear {place}" if self.is_venv else f"{new} ~/edge"
        return f"{new} {place}" if self.is_venv and self.sees_system is False else ""

    def pip(self, words: str) -> str:
        """Return the shell line that runs pip for this Python."""
        allow = " --break-system-packages" if self.is_managed and not self.is_venv else ""
        return f"{shlex.quote(self.executable)} -m pip {words}{allow}"

    def reinstall(self, *packages: str) -> str:
        """Return the shell line that writes packages anew, then adds what they lack.

        What they need and is there stays: a newer NumPy could be too new for picamera2.
        """
        names = " ".join(packages)
        anew = self.pip(f"install --upgrade --force-reinstall --no-deps {names}")
        return f"{anew} && {self.pip(f'install {names}')}"

    @property
    def opencv(self) -> str:
        """What pip is to install as OpenCV; with 4.12 it came to need NumPy 2."""
        has_numpy_1 = self.packages.get("numpy", "").startswith("1.")
        return "'opencv-python-headless<4.12'" if has_numpy_1 else "opencv-python-headless"
