from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge.doctor.checks import CHECKS, Check, examine
from edge.doctor.checks.kernels import PROBE
from edge.doctor.finding import Finding, State, fail, ok, unknown, warn
from edge.doctor.machine import Machine
from edge.doctor.render import render_text, to_json, worst_first
from tests.edge.doctor.machines import PI_3, PI_4, PI_5, ZERO_2, bare, pi, timed, timings

FLOAT, INT8 = (str(PROBE / f"probe.{width}.tflite") for width in ("float32", "int8"))
TIMED = timings(timed(FLOAT, 25, quantized=False), timed(INT8, 10, quantized=True))
SUPPLY: Mapping[str, str | bytes | None] = {
    "proc/device-tree/chosen/power/max_current": (5000).to_bytes(4, "big")
}
GARBAGE = b"\xff\0\x1b[31m[[[ = : -1 \xf0\x9f 99999999999999999999 none\n" * 3
FILES = (
    *("proc/meminfo", "proc/loadavg", "proc/swaps", "proc/mounts", "proc/cpuinfo", "proc/locks"),
    "boot/firmware/config.txt",
    "sys/class/thermal/thermal_zone0/temp",
    "sys/class/video4linux/v4l-subdev0/name",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq",
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/class/video4linux/video0/name",
    "proc/device-tree/chosen/power/max_current",
)


def states(machine: Machine) -> dict[str, State]:
    return {subject: finding.state for subject, finding in examine(machine).items()}


@pytest.mark.parametrize("model", [PI_3, PI_4, PI_5, ZERO_2])
def test_a_healthy_board_has_nothing_to_mend(tmp_path: Path, model: str) -> None:
    machine = pi(tmp_path, SUPPLY, {"edge.doctor.child_timing": TIMED}, model=model)
    found = states(machine)
    assert found.pop("int8 onnx") is State.SKIP
    assert {subject: state for subject, state in found.items() if state is not State.OK} == {}
    assert set(found) == set(CHECKS) - {"int8 onnx"}


def test_what_is_of_a_pi_alone_is_no_warning_elsewhere(tmp_path: Path) -> None:
    machine = pi(tmp_path, {"boot/firmware/config.txt": None}, model="")
    for subject, finding in examine(machine).items():
        if CHECKS[subject].on_pi:
            assert (finding.state, finding.found) == (State.SKIP, "not a Raspberry Pi")


def test_a_machine_without_anything_gets_a_report(tmp_path: Path) -> None:
    machine = bare(tmp_path)
    findings = examine(machine)
    assert set(findings) == set(CHECKS)
    assert findings["runtime"].state is State.FAIL
    assert "stop the loop" in render_text(machine, findings)


DIGITS = b"9" * 4000


@pytest.mark.parametrize(
    "garbage",
    [
        GARBAGE,
        DIGITS,
        b"CmaTotal: %b kB\nCmaFree: 1 kB\nMemTotal: %b kB\nMemAvailable: 1 kB\n" % (DIGITS, DIGITS),
        b"Filename\n/swap file 1 %b 0\n" % DIGITS,
        b"a b c d e f g h i\n" * 9,
        b"::::\n====\n[[[[\n]]]]\n\n",
    ],
    ids=["bytes", "digits", "memory", "swap", "words", "signs"],
)
def test_garbage_in_every_file_is_survived(tmp_path: Path, garbage: bytes) -> None:
    machine = pi(tmp_path, dict.fromkeys(FILES, garbage), model=PI_5)
    text = render_text(machine, examine(machine))
    assert all(character.isprintable() for character in text.replace("\n", ""))


def test_folders_in_the_place_of_files_are_survived(tmp_path: Path) -> None:
    machine = pi(tmp_path)
    for name in FILES:
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).mkdir(parents=True)
    assert set(examine(machine)) == set(CHECKS)


def test_links_to_themselves_are_survived(tmp_path: Path) -> None:
    machine = pi(tmp_path)
    for name in ("dev/media0", "dev/video0", "sys/class/video4linux/video0"):
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to(tmp_path / name)
    assert set(examine(machine)) == set(CHECKS)


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("odd"), OverflowError("large")])
def test_what_one_check_meets_does_not_hide_the_others(tmp_path: Path, error: Exception) -> None:
    def look(_: Machine) -> Finding:
        raise error

    assert Check(look)(pi(tmp_path)) == unknown(f"could not be looked at ({error})")


def test_a_disk_that_is_gone_is_unknown(tmp_path: Path) -> None:
    def free_bytes(path: Path) -> int:
        raise FileNotFoundError(2, "No such file", str(path))

    machine = replace(pi(tmp_path), free_bytes=free_bytes)
    assert states(machine)["disk"] is State.UNKNOWN


def test_models_are_named_beside_the_checks(tmp_path: Path) -> None:
    said = {"edge.doctor.child_timing": timings(timed("disk", 5, quantized=False))}
    findings = examine(pi(tmp_path, said=said, models=("disk",)))
    assert "5.00 ms" in findings["model disk"].found
    assert "MiB free" in findings["disk"].found


FINDINGS = {
    "a": ok("good", "not shown"),
    "b": warn("slow", "because", "sudo mend --b"),
    "model x" * 9: fail("gone", "no loop", "sudo mend --c"),
    "d": Finding(State.SKIP, "not here"),
    "e": unknown("silent"),
    "f": Finding(State.SKIP, "not here"),
    "g": fail("\x1b[2Jevil\r\n", "x" * 3, "echo '\x1b]0;evil\a'"),
}


def test_the_worst_comes_first(tmp_path: Path) -> None:
    assert [subject[0] for subject, _ in worst_first(FINDINGS)] == list("mgbeadf")
    lines = render_text(pi(tmp_path), FINDINGS).splitlines()
    assert lines[0].startswith("Raspberry Pi 4 Model B Rev 1.5, Cortex-A72, ")
    assert lines[2:] == [
        f"fail    {'model x' * 9}",
        "           gone",
        "           no loop",
        "           $ sudo mend --c",
        "fail    g  \ufffd[2Jevil\ufffd\ufffd",
        "           xxx",
        "           $ echo '\ufffd]0;evil\ufffd'",
        "warn    b  slow",
        "           because",
        "           $ sudo mend --b",
        "unknown e  silent",
        "ok      a  good",
        "skip    not here: d, f",
        "",
        "2 stop the loop, 1 slows it or may trouble it, 1 could not be found out",
    ]


def test_text_is_wrapped_and_commands_are_not(tmp_path: Path) -> None:
    mend = "sudo " + "word " * 40
    lines = render_text(pi(tmp_path), {"a": warn("long " * 60, "why " * 60, mend)}).splitlines()
    assert max(len(line) for line in lines if "$" not in line) <= 100
    [command] = [line for line in lines if "$" in line]
    assert command.endswith(f"$ {mend}")


def test_json_has_all_of_it(tmp_path: Path) -> None:
    data = to_json(pi(tmp_path), FINDINGS)
    assert data["stops"] == 2
    findings = data["findings"]
    assert isinstance(findings, list)
    assert findings[2] == {
        "subject": "b",
        "state": "warn",
        "found": "slow",
        "meaning": "because",
        "mend": "sudo mend --b",
    }
    assert len(findings) == len(FINDINGS)
