"""Memory: what the camera needs in one piece, what is left, and what lies on the disk."""

from __future__ import annotations

import re

from edge.doctor.finding import Finding, State, ok, unknown, warn
from edge.doctor.machine import Machine

# Three buffers of the largest sensor's raw frames (4056 x 3040, 12 bits) take 56 MB.
CMA_MIB = 64
CMA_FREE_MIB = 16
# LiteRT or ONNX Runtime, OpenCV, a MobileNetV2 and the frames take some 150 MB.
AVAILABLE_MIB = 150
SWAPPED_MIB = 32
_DISPLAY = re.compile(r"^dtoverlay=vc4-f?kms-v3d", re.MULTILINE)


def cma(machine: Machine) -> Finding:
    """Contiguous memory, which camera buffers are made of."""
    total, free = machine.mib("CmaTotal"), machine.mib("CmaFree")
    if total is None or free is None:
        return unknown("/proc/meminfo does not say how much contiguous memory there is")
    found = f"{free:.0f} of {total:.0f} MiB of contiguous memory are free"
    if total >= CMA_MIB and free >= CMA_FREE_MIB:
        return ok(found)
    size = 256 if (machine.mib("MemTotal") or 0) > 700 else 128  # a Zero 2 has 512 MB in all
    file = f"{machine.boot}/config.txt"
    # The display's overlay sets the size as well, but on a Pi 5.
    has_display = _DISPLAY.search(machine.text(file)) and "Raspberry Pi 5" not in machine.model
    setting = (
        f"sudo sed -i -E '/^dtoverlay=vc4-f?kms-v3d/{{s/,cma-[0-9]+//;s/$/,cma-{size}/}}' /{file}"
        if has_display
        else f"printf '[all]\\ndtoverlay=cma,cma-{size}\\n' | sudo tee -a /{file}"
    )
    return warn(
        found,
        'large frames may end in "Cannot allocate memory". Ask for smaller ones, stop what else '
        "shows pictures, or give more",
        f"{setting} && sudo reboot" if total < size else "",
    )


def memory(machine: Machine) -> Finding:
    """What a program can get without swapping."""
    total, available = machine.mib("MemTotal"), machine.mib("MemAvailable")
    if total is None or available is None:
        return unknown("/proc/meminfo does not say how much memory there is")
    found = f"{available:.0f} of {total:.0f} MiB are available"
    if available >= AVAILABLE_MIB:
        return ok(found)
    return warn(
        found,
        f"the loop takes some {AVAILABLE_MIB}. Stop what else runs; the command boots without the "
        "desktop",
        "sudo systemctl set-default multi-user.target && sudo reboot",
    )


def swap(machine: Machine) -> Finding:
    """Memory on a card is slow and wears it out; compressed memory (zram) does neither."""
    rows = [line.split() for line in machine.text("proc/swaps").splitlines()[1:]]
    on_disk = [row for row in rows if len(row) >= 4 and "zram" not in row[0]]
    used = sum(int(row[3]) for row in on_disk if row[3].isdecimal()) / 1024
    if not on_disk:
        return ok("compressed memory alone" if rows else "none")
    found = f"{used:.0f} MiB lie in {', '.join(row[0] for row in on_disk)}"
    if used < SWAPPED_MIB:
        return ok(found)
    has_dphys = (machine.root / "etc/dphys-swapfile").exists()
    return Finding(
        State.WARN,
        found,
        "what is fetched back from there makes single frames slow, and wears out a card",
        "sudo systemctl disable --now dphys-swapfile" if has_dphys else "sudo swapoff -a",
    )
