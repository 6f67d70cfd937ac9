from __future__ import annotations

import gzip
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

from tests.pi_lab import roots
from tests.pi_lab.roots import LabError
from tests.v4l2_lab import guest
from tests.v4l2_lab.__main__ import main

# Speaks as the emulator does: says that it fell asleep, waits to be woken, leaves what `HERE` has.
EMULATOR = """\
#!{python}
import json, shutil, sys
def say(**event):
    print(json.dumps(event), flush=True)
say(QMP={{}})
assert json.loads(input())["execute"] == "qmp_capabilities"
say(**{{"return": {{}}}})
[console] = [one[5:] for one in sys.argv if one.startswith("file:")]
open(console, "w").write("kernel: so far, so good\\n")
if {sleeps}:
    say(event="SUSPEND")
    assert json.loads(input())["execute"] == "system_wakeup"
    say(event="WAKEUP")
if {hangs}:
    input()
*_, outgoing = [one.split("file=")[1] for one in sys.argv if "if=virtio" in one]
shutil.copy({here!r}, outgoing)
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for tools, the first on the path; nothing else is found by name alone."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(roots, "PATH", str(folder))
    return folder


def tool(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_what_is_missing_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(roots, "PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main([]) == 0
    said = capsys.readouterr().out
    assert said.startswith("v4l2-lab: skipped: ")
    assert all(f"{name} is not installed" in said for name in guest.TOOLS)
    assert list(tmp_path.iterdir()) == []
    for name in guest.TOOLS:
        tool(tmp_path, name, "#!/bin/sh\n")
    assert guest.missing() == []


def test_the_initial_file_system_loads_modules_in_their_order(path: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("usr/bin/busybox", "b.ko", "a.ko", "c.ko"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    lines = f"builtin pci\\ninsmod {root}/b.ko x=1\\ninsmod {root}/a.ko\\n"
    # The second one asked for needs one more, and one that is there.
    more = f'[ "$6" = ext4 ] && printf "insmod {root}/a.ko\\ninsmod {root}/c.ko\\n"; exit 0\n'
    tool(path, "modprobe", f'#!/bin/sh\nprintf "{lines}"\n{more}')
    tool(path, "cpio", "#!/bin/sh\ncat\n")
    guest._make_initrd(root, "6.12", tmp_path / "initrd.gz")
    names = gzip.decompress((tmp_path / "initrd.gz").read_bytes()).decode().splitlines()
    assert names == [
        *("bin", "bin/busybox", "dev", "init", "modules"),
        *("modules/00-b.ko", "modules/01-a.ko", "modules/02-c.ko", "root"),
    ]
    assert (tmp_path / "initrd/init").stat().st_mode & 0o111


def boot(path: Path, tmp_path: Path, ended: str, *, sleeps: bool = False) -> Path:
    left = tmp_path / "left"
    left.mkdir()
    (left / "ended").write_text(ended)
    archive = tmp_path / "left.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(left, ".")
    hangs = ended == "never"
    text = EMULATOR.format(python=sys.executable, sleeps=sleeps, hangs=hangs, here=str(archive))
    tool(path, guest.EMULATOR, text)
    folder, thing = tmp_path / "boot", tmp_path / "thing"
    folder.mkdir()
    (thing / "__pycache__").mkdir(parents=True)
    (thing / "file").write_text("1")
    return guest.boot(tmp_path, {"there/thing": thing}, folder)


def test_what_goes_in_and_what_comes_out(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest, "SLEEP_S", 0.05)
    out = boot(path, tmp_path, "0\n", sleeps=True)
    assert (out / "ended").read_text() == "0\n"
    [slept_ns] = json.loads((out / "slept.json").read_text())
    assert slept_ns >= 50_000_000
    with tarfile.open(out.parent / "in.tar") as archive:
        assert sorted(archive.getnames()) == ["there/thing", "there/thing/file"]
    assert (out.parent / "out.tar").stat().st_size > 0


@pytest.mark.parametrize(("ended", "why"), [("1", "ended early"), ("never", "was ended after")])
def test_a_guest_that_does_not_come_to_its_end(
    ended: str, why: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest, "LIMIT_S", 0.5 if ended == "never" else 60)
    with pytest.raises(LabError, match=why) as caught:
        boot(path, tmp_path, ended)
    assert ended == "never" or "so far, so good" in str(caught.value)


def test_nothing_but_its_own_disk_and_its_words_is_written(tmp_path: Path) -> None:
    line = guest.command(tmp_path, tmp_path / "in", tmp_path / "out", tmp_path / "console")
    disks = [word for word in line if word.startswith("if=virtio")]
    assert [disk.split(",", 3)[-1] for disk in disks[:2]] == ["snapshot=on", "readonly=on"]
    assert disks[2].endswith(f"file={tmp_path}/out")
    assert "-nodefaults" in line  # and with it no network
