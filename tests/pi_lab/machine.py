"""The two machines: a small Debian in a folder each, entered without leaving a trace of it.

A root is entered in namespaces of its own: what is mounted there, and every process, is gone with
the command. Nothing of this needs to be root where the kernel lets anybody make user namespaces.
"""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.pi_lab import roots
from tests.pi_lab.roots import REPOSITORY, SUITE, WHEELS, LabError, run

# libcamera of the backports: that of the suite leaves the status of a virtual camera's frames
# unset, and picamera2 then waits for ever.
PACKAGES = ("base-files", "python3", f"python3-libcamera/{SUITE}-backports", "python3-prctl")
ADD_BACKPORTS = f'sed -n "s/ {SUITE} / {SUITE}-backports /p" "$1/etc/apt/sources.list" > "$1/b" && '
ADD_BACKPORTS += 'cat "$1/b" >> "$1/etc/apt/sources.list" && rm "$1/b"'
# picamera2 asks for two packages that have to be compiled: python-prctl is Debian's, and the loop
# never writes what PiDNG is for.
WITHOUT_NEEDS = ("picamera2",)
WITH_NEEDS = (
    "ai-edge-litert",
    "av",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "piexif",
    "pillow",
    "simplejpeg",
    "tqdm",
    "videodev2",
)
CAMERAS = "usr/share/libcamera/pipeline/virtual/virtual.yaml"
TOOLS = (*roots.TOOLS, "unshare", "chroot")


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of processor. `debian`: its name there; `core`: what an emulator is to be."""

    name: str
    debian: str
    emulator: str
    core: str = ""

    @property
    def is_emulated(self) -> bool:
        return platform.machine() != self.name

    def missing(self) -> list[str]:
        """Return what this PC lacks to be that machine, in a sentence each."""
        lacks = roots.not_installed([*TOOLS, *([self.emulator] if self.is_emulated else [])])
        if not lacks and run([*ENTER, "mount", "-t", "tmpfs", "lab", "/tmp"]).returncode:
            lacks.append("namespaces cannot be made (unshare is refused)")
        return lacks


MACHINES = {
    "x86_64": Machine("x86_64", "amd64", "qemu-x86_64-static"),
    "aarch64": Machine("aarch64", "arm64", "qemu-aarch64-static", core="cortex-a76"),
}
# Namespaces of its own for mounts and processes; the kernel ends all of them with the first one.
ENTER = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
if os.getuid():
    ENTER.append("--map-root-user")

# What a Cortex-A76 says of itself. The runtimes choose kernels by it, and crash on the PC's.
CPUINFO = """\
processor\t: {}
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""


def cache() -> Path:
    """Return where the machines are kept."""
    return roots.cache("pi-lab")


def prepare(machine: Machine) -> Path:
    """Return the machine's root, built where there is none of this recipe yet.

    Raises: LabError: it cannot be built.
    """

    def build(root: Path) -> None:
        roots.unpack(root, machine.debian, PACKAGES, ADD_BACKPORTS)
        roots.add_wheels(root, machine.name, WITH_NEEDS, WITHOUT_NEEDS)
        (root / CAMERAS).parent.mkdir(parents=True, exist_ok=True)
        (root / CAMERAS).symlink_to("/lab/cameras.yaml")
        for place in ("repository", "lab", "proc", "dev", "tmp"):
            (root / place).mkdir(exist_ok=True)
        (root / "emulator").touch()

    facts = (SUITE, PACKAGES, ADD_BACKPORTS, WITHOUT_NEEDS, WITH_NEEDS)
    return roots.kept(cache(), machine.name, facts, build)


def enter(
    machine: Machine, root: Path, lab: Path, command: Sequence[str], environment: dict[str, str]
) -> list[str]:
    """Return the command line that runs `command` (arguments of Python) inside the root.

    The repository is there as /repository and cannot be written; `lab` is /lab, and can.
    """
    mounts = [
        f"mount -t proc proc {shlex.quote(str(root / 'proc'))}",
        f"mount --rbind /dev {shlex.quote(str(root / 'dev'))}",
        _bind(REPOSITORY, root / "repository"),
        f"mount -o remount,bind,ro {shlex.quote(str(root / 'repository'))}",
        _bind(lab, root / "lab"),
    ]
    python = ["/usr/bin/python3"]
    variables = {
        "PATH": "/usr/bin:/usr/sbin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"/{WHEELS}:/repository",
        "PYTHONPYCACHEPREFIX": "/var/cache/python",
        "LIBCAMERA_LOG_LEVELS": "*:WARN",
        **environment,
    }
    if machine.is_emulated:
        emulator = roots.find(machine.emulator)
        if emulator is None:
            raise LabError(f"{machine.emulator} is not installed")
        (lab / "cpuinfo").write_text("".join(map(CPUINFO.format, range(os.cpu_count() or 1))))
        mounts += [_bind(Path(emulator), root / "emulator")]
        mounts += [_bind(lab / "cpuinfo", root / "proc/cpuinfo")]
        python = ["/emulator", *python]
        variables["QEMU_CPU"] = machine.core
    settings = [f"{name}={value}" for name, value in variables.items()]
    inside = ["env", "-i", *settings, "/usr/sbin/chroot", str(root), *python, *command]
    return [*ENTER, "sh", "-ec", f"{'; '.join(mounts)}; exec {shlex.join(inside)}"]


def _bind(source: Path, target: Path) -> str:
    return f"mount --bind {shlex.quote(str(source))} {shlex.quote(str(target))}"
