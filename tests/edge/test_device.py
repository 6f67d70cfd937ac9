from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edge
from edge.device import Health, describe_board, describe_versions, read_health

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(autouse=True)
def no_vcgencmd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_a_raspberry_pi(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
            "proc/cpuinfo": "processor\t: 0\nCPU part\t: 0xd08\n\nModel\t: Raspberry Pi 4\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        },
    )
    board = describe_board(root)
    assert board["model"] == "Raspberry Pi 4 Model B Rev 1.5"
    assert board["cpu"] == "Cortex-A72"
    assert board["governor"] == "ondemand"
    assert int(board["cores"]) >= 1


def test_a_pc(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "sys/class/dmi/id/product_name": "NUC\n",
            "proc/cpuinfo": "processor : 0\nmodel name : Some CPU: 3 GHz\n",
        },
    )
    board = describe_board(root)
    assert (board["model"], board["cpu"]) == ("NUC", "Some CPU: 3 GHz")
    assert "governor" not in board


def test_an_unknown_machine_has_fewer_facts(tmp_path: Path) -> None:
    assert set(describe_board(tmp_path)) == {"cores", "machine", "kernel"}
    assert read_health(tmp_path) == Health(None, None)
    assert read_health(tmp_path).to_json() == {}


def test_versions_name_what_is_installed() -> None:
    versions = describe_versions()
    assert versions["edge-deploy"] == edge.__version__
    assert {"python", "numpy", "opencv-python-headless"} <= set(versions)
    assert all(versions.values())


def test_temperature_is_the_processors(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/type": "wifi\n",
            "sys/class/thermal/thermal_zone0/temp": "31000\n",
            "sys/class/thermal/thermal_zone1/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone1/temp": "61500\n",
        },
    )
    assert read_health(root).temperature_c == 61.5
    (root / "sys/class/thermal/thermal_zone1/temp").write_text("not now\n")
    assert read_health(root).temperature_c == 31.0


@pytest.mark.parametrize(
    ("text", "now", "since_boot"),
    [
        ("0x0", [], []),
        ("0x1", ["under-voltage"], []),
        ("50005\n", ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
        ("0xa0000", [], ["frequency capped", "soft temperature limit"]),
        (
            "0xe0008",
            ["soft temperature limit"],
            ["frequency capped", "throttled", "soft temperature limit"],
        ),
    ],
)
def test_throttle_flags(text: str, now: list[str], since_boot: list[str], tmp_path: Path) -> None:
    health = read_health(write(tmp_path, {THROTTLED: text})).to_json()
    assert (health["throttled"], health["throttled_since_boot"]) == (now, since_boot)


def test_damaged_throttle_flags_are_unknown(tmp_path: Path) -> None:
    assert read_health(write(tmp_path, {THROTTLED: "what"})).throttled is None


def test_the_pis_tool_is_asked_where_sysfs_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "vcgencmd"
    tool.write_text("#!/bin/sh\necho throttled=0x50000\n")
    tool.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(tool))
    assert read_health(tmp_path).throttled == 0x50000
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert read_health(tmp_path).throttled is None
