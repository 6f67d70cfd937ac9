from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge.doctor.checks import storage
from edge.doctor.finding import State
from edge.doctor.machine import Machine
from tests.edge.doctor.machines import pi


@pytest.mark.parametrize(("mib", "state"), [(200, "ok"), (199, "warn"), (0, "warn")])
def test_room_for_a_log(tmp_path: Path, mib: int, state: str) -> None:
    machine = replace(pi(tmp_path), free_bytes=lambda _: mib << 20)
    assert storage.disk(machine).state == state


def test_room_is_counted_where_the_log_lies(tmp_path: Path) -> None:
    free = Machine(log_dir=tmp_path).free_bytes(tmp_path)
    assert abs(free - shutil.disk_usage(tmp_path).free) < 1 << 30


@pytest.mark.parametrize(
    ("mounts", "place", "state", "words"),
    [
        ("/dev/mmcblk0p2 / ext4 rw 0 0", "/home/pi", "ok", "a card"),
        ("/dev/nvme0n1p2 / ext4 rw 0 0", "/home/pi", "ok", "/home/pi on /dev/nvme0n1p2 (ext4)"),
        ("/dev/mmcblk0p2 / ext4 ro,noatime 0 0", "/home/pi", "fail", "read-only"),
        ("a / ext4 ro 0 0\nb /logs ext4 rw 0 0", "/logs/a", "ok", "on b"),
        ("a / ext4 rw 0 0\nb /log ext4 ro 0 0", "/logs/a", "ok", "on a"),
        ("a / ext4 ro 0 0\nb / ext4 rw 0 0", "/home", "ok", "on b"),
        ("a / ext4 ro 0 0\nb /my\\040logs ext4 rw 0 0", "/my logs", "ok", "on b"),
        ("a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0", "/tmp/x", "ok", "in memory"),
        ("overlay / overlay rw 0 0", "/home/pi", "warn", "(overlay)"),
        ("", "/home/pi", "unknown", "/proc/mounts"),
        ("garbage\n\0", "/home/pi", "unknown", "/proc/mounts"),
    ],
)
def test_what_the_log_lies_on(
    tmp_path: Path, mounts: str, place: str, state: str, words: str
) -> None:
    machine = replace(pi(tmp_path, {"proc/mounts": mounts}), log_dir=Path(place))
    finding = storage.log(machine)
    assert finding.state == state
    assert words in finding.found


def test_a_read_only_mount_is_named(tmp_path: Path) -> None:
    mounts = "a / ext4 rw 0 0\nb /my\\040logs ext4 ro 0 0"
    machine = replace(pi(tmp_path, {"proc/mounts": mounts}), log_dir=Path("/my logs/here"))
    assert storage.log(machine).mend == "sudo mount -o remount,rw '/my logs'"


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    finding = storage.log(pi(tmp_path, may_open=lambda _: False))
    assert (finding.state, finding.mend) == (State.FAIL, "sudo chown $USER /home/pi")
