"""Where the latency log will lie."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from edge.doctor.finding import Finding, State, fail, ok, unknown, warn
from edge.doctor.machine import Machine

# A full log: 16 MiB a file, and the rotated ones.
FREE_MIB = 200
IN_MEMORY = ("tmpfs", "ramfs")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A line of /proc/mounts."""

    device: str
    point: str
    kind: str
    options: frozenset[str]


def disk(machine: Machine) -> Finding:
    """Room for a log and its rotated parts."""
    free_mib = machine.free_bytes(machine.log_dir) / 2**20
    found = f"{free_mib:,.0f} MiB free in {machine.log_dir}"
    if free_mib >= FREE_MIB:
        return ok(found)
    return warn(
        found,
        "a full disk ends the log (the loop goes on). The command frees old packages and journals",
        "sudo apt clean && sudo journalctl --vacuum-size=50M",
    )


def log(machine: Machine) -> Finding:
    """What kind of place the log's folder is."""
    place = machine.log_dir.resolve()
    mount = _mount(machine.text("proc/mounts"), place)
    if mount is None:
        return unknown("/proc/mounts does not say what it lies on")
    where = f"{place} on {mount.device} ({mount.kind})"
    if "ro" in mount.options:
        return fail(
            f"{where} is read-only",
            "--log cannot be written there; name a folder that can, or mount it for writing (a "
            "card that turns read-only by itself has failed: look at dmesg)",
            f"sudo mount -o remount,rw {shlex.quote(mount.point)}",
        )
    if not machine.may_open(place):
        return Finding(
            State.FAIL,
            f"{where} may not be written by you",
            "--log cannot be written there; name another folder, or take this one",
            f"sudo chown $USER {shlex.quote(str(place))}",
        )
    if mount.kind == "overlay" and machine.is_pi:
        return warn(
            where,
            "the system's overlay keeps files in memory, and they are gone after a reboot; name a "
            "folder on a disk of its own, or switch the overlay off",
            "sudo raspi-config nonint do_overlayfs 1 && sudo reboot",
        )
    if mount.kind in IN_MEMORY:
        return ok(f"{where}: in memory, kind to the card, and gone after a reboot")
    if mount.device.startswith("/dev/mmcblk"):
        return ok(f"{where}: a card; a line every 10 s is kind to it, --trace is not")
    return ok(where)


def _mount(mounts: str, place: Path) -> Mount | None:
    """Return the mount that holds `place`: the deepest, and of those the latest."""
    best = None
    rows = [row for row in map(str.split, mounts.splitlines()) if len(row) >= 4]
    for device, point, kind, options, *_ in rows:
        # Spaces in a name are written as \\040 (fstab(5)).
        where = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), point)
        if place.is_relative_to(where) and (best is None or len(where) >= len(best.point)):
            best = Mount(device, where, kind, frozenset(options.split(",")))
    return best
