"""A system below a folder, and a stand-in for its Python, for the tests of install.sh."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "device_scripts"
INSTALL = SCRIPTS / "install.sh"
UNIT = "etc/systemd/system/edge-live.service"

# Makes an environment, installs and checks in no time; what $FAILS_AT names fails.
PYTHON = """\
#!/bin/sh
case "$*" in
*"-m venv"*) step=venv ;;
*"-m pip"*) step=pip ;;
*open_model*) step=model ;;
*--version) step=options ;;
*picamera2*) step=picamera2 ;;
*numpy*) step=numpy ;;
esac
if [ "$step" = "$FAILS_AT" ]; then exit 1; fi
if [ "$step" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"
    cp "$0" "$folder/bin/python"
elif [ "$step" = pip ]; then
    printf '%s\\n' "$@" >"$(dirname "$0")/pip-arguments"
fi
"""
# The real one, but for the step that $FAILS_AT names.
SYSTEMCTL = """\
#!/bin/sh
case " $* " in *" $FAILS_AT "*) exit 1 ;; esac
exec {systemctl} "$@"
"""


@dataclass(frozen=True)
class System:
    """A system below `root`, and the programs that install.sh finds."""

    root: Path
    programs: Path

    def install(self, *arguments: str | Path, fails_at: str = "nothing") -> str:
        """Run install.sh with these arguments, and return what it said. Raises if it fails."""
        done = self.try_install(*arguments, fails_at=fails_at)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def try_install(
        self, *arguments: str | Path, fails_at: str = "nothing"
    ) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
        ours: list[str | Path] = ["--root", self.root, "--python", self.programs / "python3"]
        return subprocess.run(
            [INSTALL, *ours, *arguments],
            env={
                "PATH": path,
                "FAILS_AT": fails_at,
                "LC_ALL": "C.UTF-8",
                "PIP_CONFIG_FILE": os.devnull,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def unit(self) -> str:
        return (self.root / UNIT).read_text()

    def tree(self) -> dict[str, tuple[str, bytes]]:
        """Return the mode and the content of everything there."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            # What useradd keeps of before, and its locks.
            if re.fullmatch(r"etc/(passwd|group|g?shadow|subuid|subgid)-|etc/\..*", name):
                continue
            mode = stat.filemode(path.lstat().st_mode)
            if path.is_symlink():
                found[name] = mode, os.fsencode(path.readlink())
            else:
                found[name] = mode, path.read_bytes() if path.is_file() else b""
        return found


def new_system(folder: Path) -> System:
    """Make a bare system, with a group video, in `folder`."""
    system = System(folder / "root", folder / "programs")
    for name in ("etc/systemd/system", "opt", "var/log"):
        (system.root / name).mkdir(parents=True)
    (system.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (system.root / "etc/group").write_text("root:x:0:\nvideo:x:44:\n")
    system.programs.mkdir()
    for name, text in (
        ("python3", PYTHON),
        ("systemctl", SYSTEMCTL.format(systemctl=shutil.which("systemctl"))),
    ):
        (system.programs / name).write_text(text)
        (system.programs / name).chmod(0o755)
    return system


def exec_start(unit: str) -> list[str]:
    """Return the arguments of a unit's ExecStart=: as systemd.syntax(7) and systemd.unit(5) say.

    Only what is in double quotes; with the colon, $ means nothing.
    """
    [line] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert line.startswith("ExecStart=:")
    rest = line.removeprefix("ExecStart=:")
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
    assert " ".join(f'"{word}"' for word in words) == rest
    assert not any(re.search(r"%[^%]", word.replace("%%", "")) for word in words), "a specifier"
    return [re.sub(r"\\(.)", r"\1", word).replace("%%", "%") for word in words]
