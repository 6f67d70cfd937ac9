from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.doctor.checks import memory
from edge.doctor.finding import State
from tests.edge.doctor.machines import HEALTHY, PI_4, PI_5, ZERO_2, bare, pi, write

MEMINFO = "proc/meminfo"
CONFIG = "boot/firmware/config.txt"


def meminfo(**kib: int) -> dict[str, str | bytes | None]:
    """Return /proc/meminfo with some figures changed, in kB as it counts."""
    text = HEALTHY[MEMINFO]
    for name, value in kib.items():
        text = re.sub(rf"{name}: \d+", f"{name}: {value}", text)
    return {MEMINFO: text}


@pytest.mark.parametrize(
    ("total_mib", "free_mib", "state"),
    [
        (512, 430, "ok"),
        (64, 16, "ok"),
        (63, 60, "warn"),
        (64, 15, "warn"),
        (0, 0, "warn"),
    ],
)
def test_contiguous_memory(tmp_path: Path, total_mib: int, free_mib: int, state: str) -> None:
    files = meminfo(CmaTotal=total_mib * 1024, CmaFree=free_mib * 1024)
    finding = memory.cma(pi(tmp_path, files))
    assert finding.state == state
    assert finding.found == f"{free_mib} of {total_mib} MiB of contiguous memory are free"


@pytest.mark.parametrize(
    ("model", "ram", "before", "after"),
    [
        (PI_4, 1 << 20, "dtoverlay=vc4-kms-v3d", "dtoverlay=vc4-kms-v3d,cma-256"),
        (ZERO_2, 400_000, "dtoverlay=vc4-kms-v3d,cma-64", "dtoverlay=vc4-kms-v3d,cma-128"),
        (PI_4, 1 << 20, "dtoverlay=vc4-fkms-v3d,noaudio", "dtoverlay=vc4-fkms-v3d,noaudio,cma-256"),
        (PI_4, 1 << 20, "gpu_mem=16", "gpu_mem=16\n[all]\ndtoverlay=cma,cma-256"),
        (
            PI_5,
            1 << 22,
            "dtoverlay=vc4-kms-v3d",
            "dtoverlay=vc4-kms-v3d\n[all]\ndtoverlay=cma,cma-256",
        ),
    ],
)
def test_the_command_gives_more(
    tmp_path: Path, model: str, ram: int, before: str, after: str
) -> None:
    """It is run, on the file of a pretended board."""
    files = meminfo(MemTotal=ram, CmaTotal=32 * 1024, CmaFree=30 * 1024)
    mend = memory.cma(pi(tmp_path, {**files, CONFIG: f"{before}\n"}, model=model)).mend
    assert mend.endswith(" && sudo reboot")
    line = mend.removesuffix(" && sudo reboot").replace("sudo ", "")
    line = line.replace("/boot/", f"{tmp_path}/boot/")
    bash = shutil.which("bash") or "sh"
    subprocess.run([bash, "-c", line], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / CONFIG).read_text() == f"{after}\n"


def test_more_is_not_offered_to_a_board_that_has_it(tmp_path: Path) -> None:
    finding = memory.cma(pi(tmp_path, meminfo(CmaFree=1024)))
    assert (finding.state, finding.mend) == (State.WARN, "")


@pytest.mark.parametrize(("mib", "state"), [(150, "ok"), (149, "warn")])
def test_available_memory(tmp_path: Path, mib: int, state: str) -> None:
    assert memory.memory(pi(tmp_path, meminfo(MemAvailable=mib * 1024))).state == state


HEAD = "Filename\tType\tSize\tUsed\tPriority\n"


@pytest.mark.parametrize(
    ("rows", "state", "found"),
    [
        ("", "ok", "none"),
        ("/dev/zram0 partition 2097148 500000 100\n", "ok", "compressed memory alone"),
        ("/var/swap file 524284 32767 -2\n", "ok", "32 MiB lie in /var/swap"),
        ("/var/swap file 524284 32768 -2\n", "warn", "32 MiB lie in /var/swap"),
        ("/var/swap file\nwhat\n", "ok", "compressed memory alone"),
    ],
)
def test_swap(tmp_path: Path, rows: str, state: str, found: str) -> None:
    finding = memory.swap(pi(tmp_path, {"proc/swaps": HEAD + rows}))
    assert (finding.state, finding.found) == (state, found)


def test_each_release_has_its_own_swap(tmp_path: Path) -> None:
    machine = pi(tmp_path, {"proc/swaps": f"{HEAD}/var/swap file 524284 99999 -2\n"})
    assert memory.swap(machine).mend == "sudo swapoff -a"
    write(tmp_path, {"etc/dphys-swapfile": ""})
    assert memory.swap(machine).mend == "sudo systemctl disable --now dphys-swapfile"


@pytest.mark.parametrize("text", ["", "CmaTotal: many kB\n", "\0\xff", "MemTotal:\n"])
def test_garbage_is_unknown(tmp_path: Path, text: str) -> None:
    machine = pi(tmp_path, {MEMINFO: text})
    assert memory.cma(machine).state is State.UNKNOWN
    assert memory.memory(machine).state is State.UNKNOWN
    assert memory.swap(bare(tmp_path / "bare")).state is State.OK
