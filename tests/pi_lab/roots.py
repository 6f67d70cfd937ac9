"""Small Debians in folders, unpacked once and kept.

A root is unpacked, not installed: no script of any package runs, so that one for another processor
takes no longer.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DIGITS = REPOSITORY / "converters/mobilenet_v2/digits/digits.onnx"
SUITE = "trixie"
WHEELS = "opt/wheels"
TOOLS = ("mmdebstrap", "tar")
# Some tools are the administrator's, and on nobody else's path.
PATH = f"{os.defpath}:/usr/local/sbin:/usr/sbin:/sbin"


class LabError(Exception):
    """A lab cannot be built or entered; the message says why."""


def find(tool: str) -> str | None:
    """Return where a tool is, None where it is not installed."""
    return shutil.which(tool) or shutil.which(tool, path=PATH)


def not_installed(tools: Sequence[str]) -> list[str]:
    """Return those of the tools that are missing, in a sentence each."""
    return [f"{tool} is not installed" for tool in tools if find(tool) is None]


def cache(lab: str) -> Path:
    """Return where a lab's roots are kept: outside the repository, with other programs' caches."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-deploy" / lab


def recipe(facts: object) -> str:
    """Return what tells a root of this recipe from one of another."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def kept(folder: Path, name: str, facts: object, build: Callable[[Path], None]) -> Path:
    """Return what `build` makes of these facts, made where there is none yet.

    Args: folder: where it is kept; one of the same name and other facts is removed; build: makes
        the path that it is given.
    Raises: whatever `build` raises; nothing of it is left then.
    """
    place = folder / f"{name}-{recipe(facts)}"
    if place.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: what a broken run leaves is taken away by itself.
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
        new = Path(temporary) / "root"
        build(new)
        new.rename(place)
    for old in folder.glob(f"{name}-*"):
        if old != place:
            shutil.rmtree(old)
    return place


def unpack(root: Path, architecture: str, packages: Sequence[str], setup: str = "true") -> None:
    """Make a root of Debian's packages and what they need.

    Args: architecture: Debian's name of it; setup: a shell command that is run before, with the
        root as $1. Raises: LabError: it cannot be made.
    """
    root.mkdir()
    archive = root.parent / "root.tar"
    must(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=extract",
            f"--arch={architecture}",
            f"--include={','.join(packages)}",
            f"--setup-hook={setup}",
            "--format=tar",
            SUITE,
            str(archive),
        ]
    )
    must(["tar", "-xf", archive, "-C", root, "--no-same-owner", "--exclude=./dev/*"])
    archive.unlink()


def add_wheels(
    root: Path, processor: str, wheels: Sequence[str], without_needs: Sequence[str] = ()
) -> None:
    """Put Python packages into WHEELS of the root, for its Python and `processor`.

    Raises: LabError: one has no wheel for it.
    """
    major, minor = (root / "usr/bin/python3").resolve().name.removeprefix("python").split(".")
    glibc = ("2_28", "2_27", "2_17", "2014")
    platforms = [f"manylinux{'' if v == '2014' else '_'}{v}_{processor}" for v in glibc]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--only-binary=:all:", "--implementation=cp", f"--python-version={major}.{minor}"]
    pip += [f"--abi={abi}" for abi in (f"cp{major}{minor}", "abi3", "none")]
    pip += [f"--platform={name}" for name in (*platforms, "any")]
    pip += ["--target", str(root / WHEELS)]
    must([*pip, *wheels])
    if without_needs:
        must([*pip, "--no-deps", *without_needs])


def run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command, and return what it wrote and its status."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def must(command: Sequence[str | Path]) -> str:
    """Run a command, and return what it wrote. Raises: LabError: it failed."""
    tool = find(str(command[0])) or command[0]
    done = run([tool, *command[1:]])
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise LabError(f"{Path(tool).name} failed with {done.returncode}: {said}")
    return done.stdout


def python(*command: str | Path) -> str:
    """Run this repository's code here, and return what it wrote. Raises: LabError: it failed."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{command[0]} {command[1]}: {done.stderr.strip()}")
    return done.stdout
