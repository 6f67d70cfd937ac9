from __future__ import annotations

from pathlib import Path

import pytest

from edge.doctor.checks import board
from edge.doctor.finding import State
from edge.doctor.machine import Said
from tests.edge.doctor.machines import PI_3, PI_4, PI_5, POLICY, THROTTLED, bare, pi, write

SUPPLY = "proc/device-tree/chosen/power/max_current"


# The bits as https://www.raspberrypi.com/documentation/computers/os.html#get_throttled has them.
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("throttled=0x1", "under-voltage now (0x1)"),
        ("throttled=0x2", "frequency capped now (0x2)"),
        ("throttled=0x4", "throttled now (0x4)"),
        ("throttled=0x8", "soft temperature limit now (0x8)"),
        ("throttled=0x50005", "under-voltage, throttled now (0x50005)"),
        ("throttled=0x10000", "under-voltage since boot (0x10000)"),
        ("throttled=0x20000", "frequency capped since boot (0x20000)"),
        ("throttled=0x40000", "throttled since boot (0x40000)"),
        ("throttled=0x80000", "soft temperature limit since boot (0x80000)"),
    ],
)
def test_each_flag_is_named(tmp_path: Path, answer: str, words: str) -> None:
    machine = pi(tmp_path, {THROTTLED: None}, {"vcgencmd": Said(0, f"{answer}\n")})
    finding = board.throttling(machine)
    assert (finding.state, finding.found) == (State.WARN, words)
    assert ("supply" in finding.meaning) == ("under-voltage" in words)
    assert ("heat sink" in finding.meaning) == ("under-voltage" not in words)


def test_sysfs_is_asked_before_the_tool(tmp_path: Path) -> None:
    machine = pi(tmp_path, {THROTTLED: "50000\n"}, {"vcgencmd": Said(0, "throttled=0x0")})
    assert board.throttling(machine).found == "under-voltage, throttled since boot (0x50000)"
    write(tmp_path, {THROTTLED: "0\n"})
    assert board.throttling(machine).state is State.OK


@pytest.mark.parametrize(
    "said", [Said(None), Said(255, "", "VCHI initialization failed"), Said(0, "\0\x1b[31m what")]
)
def test_a_silent_firmware_is_unknown(tmp_path: Path, said: Said) -> None:
    finding = board.throttling(pi(tmp_path, {THROTTLED: None}, {"vcgencmd": said}))
    assert finding.state is State.UNKNOWN
    assert "apt install" in finding.mend


@pytest.mark.parametrize(
    ("model", "data", "state"),
    [
        (PI_5, (5000).to_bytes(4, "big"), State.OK),
        (PI_5, (4999).to_bytes(4, "big"), State.WARN),
        (PI_5, (900).to_bytes(4, "big"), State.WARN),
        (PI_5, b"", State.UNKNOWN),
        (PI_5, b"\1\2\3\4\5", State.UNKNOWN),
        (PI_4, b"", State.OK),
    ],
)
def test_the_supply(tmp_path: Path, model: str, data: bytes, state: State) -> None:
    assert board.power(pi(tmp_path, {SUPPLY: data}, model=model)).state is state


@pytest.mark.parametrize(
    ("model", "millidegrees", "state"),
    [
        (PI_4, "69900", State.OK),
        (PI_4, "70000", State.WARN),
        (PI_3, "49900", State.OK),
        (PI_3, "50000", State.WARN),
        (PI_4, "warm", State.UNKNOWN),
    ],
)
def test_the_temperature(tmp_path: Path, model: str, millidegrees: str, state: State) -> None:
    files = {"sys/class/thermal/thermal_zone0/temp": millidegrees}
    assert board.temperature(pi(tmp_path, files, model=model)).state is state


@pytest.mark.parametrize("governor", ["ondemand", "schedutil", "powersave", "conservative"])
def test_a_governor_that_lowers_the_clock(tmp_path: Path, governor: str) -> None:
    finding = board.governor(pi(tmp_path, {f"{POLICY}/scaling_governor": f"{governor}\n"}))
    assert (finding.state, finding.found) == (State.WARN, governor)
    assert ("lowest" in finding.meaning) == (governor == "powersave")
    assert finding.mend == (
        "echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
    )


def test_one_core_of_another_governor_counts(tmp_path: Path) -> None:
    machine = pi(tmp_path)
    assert board.governor(machine).state is State.OK
    write(tmp_path, {POLICY.replace("policy0", "policy4/scaling_governor"): "powersave"})
    assert board.governor(machine).found == "performance, powersave"


def test_a_capped_clock(tmp_path: Path) -> None:
    finding = board.governor(pi(tmp_path, {f"{POLICY}/scaling_max_freq": "600000\n"}))
    assert (finding.state, finding.found) == (State.WARN, "the clock is kept at 600 of 1800 MHz")
    assert finding.mend.startswith("echo 1800000 | sudo tee ")


@pytest.mark.parametrize(
    ("text", "state"),
    [("1.99 0 0", State.OK), ("2.00 0 0", State.WARN), ("", State.UNKNOWN), ("x", State.UNKNOWN)],
)
def test_the_load_of_four_cores(tmp_path: Path, text: str, state: State) -> None:
    assert board.load(pi(tmp_path, {"proc/loadavg": text})).state is state


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (Said(0, "yes\n"), State.OK),
        (Said(0, "no\n"), State.WARN),
        (Said(1, "no\n"), State.UNKNOWN),
        (Said(None), State.UNKNOWN),
    ],
)
def test_the_clock(tmp_path: Path, said: Said, state: State) -> None:
    file = "run/systemd/timesync/synchronized"
    machine = pi(tmp_path, {file: None}, {"timedatectl": said})
    finding = board.clock(machine)
    assert finding.state is state
    assert finding.mend == ("sudo timedatectl set-ntp true" if state is State.WARN else "")
    assert board.clock(pi(tmp_path, {file: ""}, {"timedatectl": said})).state is State.OK


def test_nothing_is_claimed_of_a_machine_that_says_nothing(tmp_path: Path) -> None:
    machine = bare(tmp_path)
    assert board.throttling(machine).state is State.UNKNOWN
    assert board.temperature(machine).state is State.UNKNOWN
    assert board.governor(machine).state is State.SKIP
