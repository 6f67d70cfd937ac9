"""The board: its supply, its heat, its clocks."""

from __future__ import annotations

from edge.device import read_health
from edge.doctor.finding import Finding, State, ok, skip, unknown, warn
from edge.doctor.machine import Machine

# The 27 W supply of a Pi 5 promises so much; with less, the firmware limits the USB ports.
PI5_SUPPLY_MA = 5000
# Where the firmware begins to lower the clock: 80 degrees, on a Pi 3 B+ 60 (temp_soft_limit).
SOFT_LIMIT_C = {"Raspberry Pi 3 Model B Plus": 60.0}
LIMIT_C = 80.0
ROOM_C = 10.0  # what a board should have left while only we run
POLICIES = "sys/devices/system/cpu/cpufreq/policy*"


def power(machine: Machine) -> Finding:
    """What the supply of a Pi 5 promised when it was plugged in, in mA (a 32-bit big-endian)."""
    data = machine.data("proc/device-tree/chosen/power/max_current")
    if not machine.model.startswith(("Raspberry Pi 5", "Raspberry Pi 500")):
        return ok("this board does not ask its supply; throttling shows a weak one")
    if len(data) != 4:
        return unknown("the firmware does not say what the supply gives")
    supply_ma = int.from_bytes(data, "big")
    if supply_ma >= PI5_SUPPLY_MA:
        return ok(f"the supply promises {supply_ma} mA")
    return warn(
        f"the supply promises {supply_ma} mA",
        f"a Pi 5 wants {PI5_SUPPLY_MA}: with less, all its USB ports share 600 mA, and there may "
        "be too little under load. Take the 27 W (5.1 V, 5 A) supply and its cable",
    )


def throttling(machine: Machine) -> Finding:
    """The firmware's own flags, of now and since boot."""
    health = read_health(machine.root, lambda: machine.said("vcgencmd", "get_throttled"))
    if health.throttled is None:
        return unknown(
            "the firmware does not say whether it throttles",
            "vcgencmd tells it, and needs the group video",
            "sudo apt install -y raspi-utils && sudo usermod -aG video $USER",
        )
    now, since = health.flags_now, health.flags_since_boot
    if not now and not since:
        return ok("never since boot (0x0)")
    flags = now or since
    words = ", ".join(flags) + (" now" if now else " since boot")
    weak = "under-voltage" in flags
    cause = (
        "the supply or its cable is too weak, and the clock is lowered without a message: take "
        "the official supply"
        if weak
        else "it was too hot, and the clock was lowered: give it a heat sink or a fan"
    )
    return warn(
        f"{words} ({health.throttled:#x})",
        f"{cause}. The flags since boot go with a reboot; the command shows them",
        "vcgencmd get_throttled",
    )


def temperature(machine: Machine) -> Finding:
    """The processor's temperature, before the loop heats it."""
    celsius = read_health(machine.root, lambda: "").temperature_c
    if celsius is None:
        return unknown("there is no thermometer")
    limits = [limit for name, limit in SOFT_LIMIT_C.items() if machine.model.startswith(name)]
    limit = (limits or [LIMIT_C])[0]
    if celsius < limit - ROOM_C:
        return ok(f"{celsius:.0f} degrees")
    return warn(
        f"{celsius:.0f} degrees",
        f"the clock goes down at {limit:.0f}: give it a heat sink or a fan, and a case with air. "
        "The command follows it",
        "watch -n 2 cat /sys/class/thermal/thermal_zone*/temp",
    )


def governor(machine: Machine) -> Finding:
    """Whether the clock stays up between two frames, and may go all the way up."""
    policies = [str(path.relative_to(machine.root)) for path in machine.paths(POLICIES)]
    governors = sorted({machine.text(f"{policy}/scaling_governor") for policy in policies} - {""})
    if not governors:
        return skip("this kernel does not scale the clock")
    for policy in policies:
        allowed, most = (
            machine.text(f"{policy}/{name}") for name in ("scaling_max_freq", "cpuinfo_max_freq")
        )
        if allowed.isdecimal() and most.isdecimal() and int(allowed) < int(most):
            return warn(
                f"the clock is kept at {int(allowed) // 1000} of {int(most) // 1000} MHz",
                "somebody has lowered scaling_max_freq",
                f"echo {most} | sudo tee /{POLICIES}/scaling_max_freq",
            )
    if governors == ["performance"]:
        return ok("performance")
    meaning = (
        "the clock stays at its lowest"
        if "powersave" in governors
        else "the clock falls while the loop waits for a frame, and the next one begins slowly"
    )
    for_good = (
        "; for good, add cpufreq.default_governor=performance to the one line of "
        f"/{machine.boot}/cmdline.txt"
        if machine.is_pi
        else ""
    )
    return warn(
        ", ".join(governors),
        f"{meaning}. The command holds until the next boot{for_good}",
        f"echo performance | sudo tee /{POLICIES}/scaling_governor",
    )


def load(machine: Machine) -> Finding:
    """Whether the cores are free."""
    words = machine.text("proc/loadavg").split()
    try:
        one_minute = float(words[0])
    except (IndexError, ValueError):
        return unknown("/proc/loadavg cannot be read")
    found = f"{one_minute:.1f} of {machine.cores} cores are busy"
    if one_minute < machine.cores / 2:
        return ok(found)
    return warn(
        found,
        "what else runs takes time from the loop, and from what was measured here",
        "ps -eo pid,pcpu,comm --sort=-pcpu | head",
    )


def clock(machine: Machine) -> Finding:
    """Logs carry the date, and a Pi has no clock that runs without power."""
    if (machine.root / "run/systemd/timesync/synchronized").exists():
        return ok("synchronized")
    answer = machine.said("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if answer == "yes":
        return ok("synchronized")
    if answer != "no":
        return unknown("nobody says whether the clock is right")
    return Finding(
        State.WARN,
        "the clock is not synchronized",
        "the dates of logs are wrong (what they measure is not: it runs on a clock of its own)",
        "sudo timedatectl set-ntp true",
    )
