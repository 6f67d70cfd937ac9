"""The camera: its library, whether it is there, who may open it, and who holds it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from edge.doctor.config_txt import settings
from edge.doctor.finding import Finding, State, fail, ok, skip, unknown, warn
from edge.doctor.machine import Machine
from edge.numpy_clash import find_numpy_clash
from edge.processes import processes_locking, processes_using

DEVICES = ("dev/video*", "dev/media*")
# They open every camera to list it, and do not keep others from it.
LISTERS = frozenset({"pipewire", "wireplumber"})
# The beginnings of the overlays that name a sensor (the firmware's overlays/README).
SENSORS = ("imx", "ov", "arducam", "adv7282", "tc358743", "gc2", "camera-mux")
_MISSING = re.compile(r"No module named '(\w+)")


def picamera2(machine: Machine) -> Finding:
    """Import it as the loop does. Without it a USB camera still works."""
    said = machine.cameras
    if said.status == 0:
        return ok(f"picamera2 {machine.python.packages.get('picamera2', '')}".strip())
    trouble = warn if _usb_cameras(machine) else fail
    if said.status is None:
        return trouble(
            "libcamera does not answer",
            "the camera, its cable or its driver hangs; a reboot may help. The command then shows "
            "whether it does",
            "rpicam-hello --list-cameras",
        )
    python = machine.python
    clash = find_numpy_clash(said.err)
    if clash is not None:
        return trouble(
            f"picamera2 does not fit NumPy {python.packages.get('numpy', '')} ({clash.said})",
            f"the system's simplejpeg is built for NumPy {clash.wanted}, which this environment "
            "must take as well",
            python.pip(f"install {clash.packages}"),
        )
    missing = _MISSING.search(said.err)
    name = missing[1] if missing else ""
    if name and python.way_to_system:
        return trouble(
            f"{name} cannot be seen from this environment",
            "it comes with the system: see environment",
            python.way_to_system,
        )
    if name in ("picamera2", "libcamera"):
        return trouble(
            f"{name} is not installed",
            "the loop reaches the Pi's camera through it",
            f"sudo apt install -y python3-{name}",
        )
    return trouble(
        f"picamera2 cannot be imported ({said.last_line})",
        "its installation is damaged or incomplete",
        "sudo apt install --reinstall -y python3-picamera2 python3-libcamera",
    )


def camera(machine: Machine) -> Finding:
    """What libcamera sees, and the USB cameras."""
    seen = _libcamera(machine) if machine.is_pi else []
    usb = _usb_cameras(machine)
    if seen or usb:
        return ok(", ".join([*seen, *usb]))
    if not machine.is_pi:
        return warn(
            "no camera",
            "--source takes a video file or a folder of pictures instead; or plug in a USB camera",
        )
    sensors = _sensors(machine)
    if machine.cameras.status != 0:
        kernel = f"the kernel has {', '.join(sensors)}" if sensors else "no USB camera"
        return unknown(f"{kernel}; libcamera could not be asked: see picamera2")
    if sensors:
        return fail(
            f"the kernel has {', '.join(sensors)}, but libcamera sees no camera",
            "see what camera access and camera owner say, and what libcamera complains of",
            "rpicam-hello --list-cameras",
        )
    return fail(
        "no camera",
        "switch the Pi off, and seat the ribbon cable anew at both ends: contacts towards the "
        "contacts of the socket, latch closed (a Pi 5 and a Zero need the narrow cable). The "
        "command then lists it",
        "rpicam-hello --list-cameras",
    )


def _libcamera(machine: Machine) -> list[str]:
    said = machine.cameras
    lines = said.out.strip().splitlines() if said.status == 0 else []
    try:
        models = json.loads(lines[-1]) if lines else []
    except ValueError:
        return []
    return [f"{model} (libcamera)" for model in models] if isinstance(models, list) else []


def _usb_cameras(machine: Machine) -> list[str]:
    """Return the cameras that are no part of the Pi, whose codecs are /dev/video* as well."""
    found = []
    for entry in machine.paths("sys/class/video4linux/video*"):
        is_usb = (entry / "device" / "driver").resolve().name == "uvcvideo"
        name = machine.text(str(entry.relative_to(machine.root) / "name"))
        index = machine.text(str(entry.relative_to(machine.root) / "index")) or "0"
        # One with index 1 and up gives metadata, not pictures.
        if (is_usb or not machine.is_pi) and index == "0":
            found.append(f"{name or 'a camera'} (/dev/{entry.name})")
    return found


def _sensors(machine: Machine) -> list[str]:
    entries = machine.paths("sys/class/video4linux/v4l-subdev*")
    names = [machine.text(str(entry.relative_to(machine.root) / "name")) for entry in entries]
    return [name for name in names if name.startswith(SENSORS)]


def setup(machine: Machine) -> Finding:
    """Whether the firmware looks for a camera, or is told of one."""
    file = f"{machine.boot}/config.txt"
    text = machine.text(file)
    if not text:
        return unknown(f"/{file} cannot be read")
    said = settings(text, machine.model)
    values = dict(said)  # the last one counts
    overlays = [value.partition(",")[0] for name, value in said if name == "dtoverlay"]
    sensors = [overlay for overlay in overlays if overlay.startswith(SENSORS)]
    if values.get("start_x") == "1":
        return fail(
            "start_x=1",
            "the firmware's old camera stack keeps the camera from libcamera",
            f"sudo sed -i '/^start_x=/d' /{file} && sudo reboot",
        )
    if sensors:
        return ok(f"dtoverlay={', '.join(sensors)}")
    if values.get("camera_auto_detect") == "1":
        return ok("camera_auto_detect=1")
    trouble = warn if _usb_cameras(machine) or _sensors(machine) else fail
    return trouble(
        f"camera_auto_detect={values.get('camera_auto_detect', '')}".rstrip("=")
        + ("" if "camera_auto_detect" in values else " is not set"),
        "the firmware does not look for a camera, and no dtoverlay names one. (A sensor that it "
        "does not know needs its own dtoverlay line: see its maker)",
        f"sudo sed -i '/^camera_auto_detect=/d' /{file} && "
        f"printf '[all]\\ncamera_auto_detect=1\\n' | sudo tee -a /{file} && sudo reboot",
    )


def access(machine: Machine) -> Finding:
    """Whether we may open the devices, which belong to a group."""
    devices = machine.paths(*DEVICES, "dev/dma_heap/*")
    if not devices:
        return skip("no camera device")
    closed = [device for device in devices if not machine.may_open(device)]
    if not closed:
        return ok("all devices may be opened")
    names = ", ".join(f"/{device.relative_to(machine.root)}" for device in closed[:3])
    more = f" and {len(closed) - 3} more" if len(closed) > 3 else ""
    group = _group(closed[0])
    return fail(
        f"{names}{more} may not be opened",
        f"they belong to the group {group}; after the command, log out and in again (a service: "
        f"User= with SupplementaryGroups={group})",
        f"sudo usermod -aG {shlex.quote(group)} $USER",
    )


def _group(device: Path) -> str:
    try:
        group = device.group()
    except (KeyError, OSError):
        return "video"
    return "video" if group == "root" else group


def owner(machine: Machine) -> Finding:
    """Who has the camera. A lock keeps others out; a device that is open may be in use."""
    devices = machine.paths(*DEVICES)
    if not devices:
        return skip("no camera device")
    proc = machine.root / "proc"
    locking = processes_locking(devices, proc)
    using = [one for one in processes_using(devices, proc) if one.name not in LISTERS]
    holders = locking or using
    if not holders:
        return ok("no process that we can see has it open")
    mends = dict.fromkeys(_stop(machine, one.pid) for one in holders)
    return Finding(
        State.FAIL if locking else State.WARN,
        f"{', '.join(map(str, holders))} {'holds the camera' if locking else 'has it open'}",
        "the loop will find it busy, unless that is the loop itself",
        " && ".join(mends),
    )


def _stop(machine: Machine, pid: int) -> str:
    """Return the line that stops a process; a service's must not be started again."""
    service = re.search(r"/system\.slice/([\w@.:\-]+\.service)", machine.text(f"proc/{pid}/cgroup"))
    return f"sudo systemctl stop {service[1]}" if service else f"sudo kill {pid}"
