"""The two machines: a small Debian in a folder, entered without leaving a trace of it.

A root is unpacked, not installed: no script of any package runs, so that one for another processor
takes no longer. It is entered in namespaces of its own: what is mounted there, and every process,
is gone with the command. Nothing of this needs to be root where the kernel lets anybody make user
namespaces.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SUITE = "trixie"
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
WHEELS = "opt/wheels"
CAMERAS = "usr/share/libcamera/pipeline/virtual/virtual.yaml"
TOOLS = ("mmdebstrap", "unshare", "chroot", "tar")


class LabError(Exception):
    """The lab cannot be built or entered; the message says why."""


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
        tools = [*TOOLS, *([self.emulator] if self.is_emulated else [])]
        lacks = [f"{tool} is not installed" for tool in tools if shutil.which(tool) is None]
        if not lacks and _run([*ENTER, "mount", "-t", "tmpfs", "lab", "/tmp"]).returncode:
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
    """Return where roots are kept: outside the repository, with other programs' caches."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-deploy" / "pi-lab"


def recipe() -> str:
    """Return what tells a root of this recipe from one of another."""
    facts = repr((SUITE, PACKAGES, ADD_BACKPORTS, WITHOUT_NEEDS, WITH_NEEDS))
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def prepare(machine: Machine) -> Path:
    """Return the machine's root, built where there is none of this recipe yet.

    Raises: LabError: it cannot be built.
    """
    root = cache() / f"{machine.name}-{recipe()}"
    if root.exists():
        return root
    cache().mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: what a broken run leaves is taken away by itself.
    with tempfile.TemporaryDirectory(dir=cache(), ignore_cleanup_errors=True) as folder:
        new = Path(folder) / "root"
        _unpack(machine, new)
        _add_wheels(machine, new)
        (new / CAMERAS).parent.mkdir(parents=True, exist_ok=True)
        (new / CAMERAS).symlink_to("/lab/cameras.yaml")
        for place in ("repository", "lab", "proc", "dev", "tmp"):
            (new / place).mkdir(exist_ok=True)
        (new / "emulator").touch()
        new.rename(root)
    for old in cache().glob(f"{machine.name}-*"):
        if old != root:
            shutil.rmtree(old)
    return root


def _unpack(machine: Machine, root: Path) -> None:
    root.mkdir()
    archive = root.parent / "root.tar"
    _must(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=extract",
            f"--arch={machine.debian}",
            f"--include={','.join(PACKAGES)}",
            f"--setup-hook={ADD_BACKPORTS}",
            "--format=tar",
            SUITE,
            str(archive),
        ]
    )
    _must(["tar", "-xf", archive, "-C", root, "--no-same-owner", "--exclude=./dev/*"])
    archive.unlink()


def _add_wheels(machine: Machine, root: Path) -> None:
    major, minor = (root / "usr/bin/python3").resolve().name.removeprefix("python").split(".")
    glibc = ("2_28", "2_27", "2_17", "2014")
    platforms = [f"manylinux{'' if v == '2014' else '_'}{v}_{machine.name}" for v in glibc]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--only-binary=:all:", "--implementation=cp", f"--python-version={major}.{minor}"]
    pip += [f"--abi={abi}" for abi in (f"cp{major}{minor}", "abi3", "none")]
    pip += [f"--platform={name}" for name in (*platforms, "any")]
    pip += ["--target", str(root / WHEELS)]
    _must([*pip, *WITH_NEEDS])
    _must([*pip, "--no-deps", *WITHOUT_NEEDS])


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
        emulator = shutil.which(machine.emulator)
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


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _must(command: Sequence[str | Path]) -> None:
    done = _run(command)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise LabError(f"{Path(command[0]).name} failed with {done.returncode}: {said}")
