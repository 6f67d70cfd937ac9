from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.doctor.checks import camera
from edge.doctor.config_txt import settings
from edge.doctor.finding import State
from edge.doctor.machine import Machine, Said
from tests.edge.doctor.machines import PI_4, PI_5, Answers, bare, pi, venv, write

CONFIG = "boot/firmware/config.txt"
VIDEO = "sys/class/video4linux/video0"
# As Python prints it where Bookworm's simplejpeg meets NumPy 2.
BUILT_FOR_NUMPY_1 = """\
  File "/usr/lib/python3/dist-packages/picamera2/encoders/jpeg_encoder.py", line 3, in <module>
    import simplejpeg
  File "simplejpeg/_jpeg.pyx", line 1, in init simplejpeg._jpeg
ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C \
header, got 88 from PyObject
"""
BUILT_FOR_NUMPY_2 = BUILT_FOR_NUMPY_1.replace("got 88", "got 96").replace(
    "Expected 96", "Expected 88"
)
NO_PICAMERA2 = "ModuleNotFoundError: No module named 'picamera2'\n"


def after(root: Path, err: str, status: int | None = 1, **facts: object) -> tuple[State, str]:
    """Return what picamera2 is found to be where its import says `err`."""
    said = {"edge.doctor.child_cameras": Said(status, "", err)}
    finding = camera.picamera2(pi(root, said=said, python=venv(root, **facts)))  # type: ignore[arg-type]
    return finding.state, finding.mend


def usb(root: Path, name: str = "HD Webcam") -> None:
    """Plug in a USB camera, with its second device for metadata."""
    for number in (0, 1):
        folder = root / f"sys/class/video4linux/video{number}"
        write(folder, {"name": f"{name}\n", "index": f"{number}\n"})
        (folder / "device").mkdir()
        (root / "drivers/uvcvideo").mkdir(parents=True, exist_ok=True)
        (folder / "device/driver").symlink_to(root / "drivers/uvcvideo")


def test_picamera2_that_loads(tmp_path: Path) -> None:
    finding = camera.picamera2(pi(tmp_path))
    assert (finding.state, finding.found) == (State.OK, "picamera2 0.3.30")


def test_numpy_2_where_simplejpeg_was_built_for_1(tmp_path: Path) -> None:
    state, mend = after(tmp_path, BUILT_FOR_NUMPY_1)
    assert state is State.FAIL
    assert mend.endswith("install 'numpy<2' 'opencv-python-headless<4.12'")
    numpy_says = "AttributeError: _ARRAY_API not found"
    assert after(tmp_path, numpy_says) == (state, mend)


def test_numpy_1_where_simplejpeg_was_built_for_2(tmp_path: Path) -> None:
    assert after(tmp_path, BUILT_FOR_NUMPY_2)[1].endswith("install 'numpy>=2'")


def test_picamera2_out_of_sight(tmp_path: Path) -> None:
    state, mend = after(tmp_path, NO_PICAMERA2, sees_system=False)
    assert state is State.FAIL
    assert mend == f"/usr/bin/python3 -m venv --system-site-packages {tmp_path}/home/pi/edge"
    assert "--clear" in after(tmp_path, NO_PICAMERA2, base_prefix="/opt/python")[1]


@pytest.mark.parametrize("name", ["picamera2", "libcamera"])
def test_picamera2_not_installed(tmp_path: Path, name: str) -> None:
    said = NO_PICAMERA2.replace("picamera2", f"{name}.controls")
    assert after(tmp_path, said) == (State.FAIL, f"sudo apt install -y python3-{name}")


@pytest.mark.parametrize("err", ["ImportError: libpisp.so.1: cannot open\n", "\0\x1b[2J", ""])
def test_picamera2_that_is_damaged(tmp_path: Path, err: str) -> None:
    state, mend = after(tmp_path, err)
    assert (state, "--reinstall" in mend) == (State.FAIL, True)


def test_libcamera_that_hangs(tmp_path: Path) -> None:
    assert after(tmp_path, "", status=None) == (State.FAIL, "rpicam-hello --list-cameras")


def test_with_a_usb_camera_the_rest_stops_nothing(tmp_path: Path) -> None:
    usb(tmp_path)
    assert after(tmp_path, NO_PICAMERA2)[0] is State.WARN
    assert camera.setup(pi(tmp_path, {CONFIG: "camera_auto_detect=0\n"})).state is State.WARN


def said_of_camera(machine: Machine) -> tuple[str, str]:
    finding = camera.camera(machine)
    return finding.state, finding.found


def test_cameras_that_are_there(tmp_path: Path) -> None:
    two = {"edge.doctor.child_cameras": Said(0, 'noise\n["imx708", "imx219"]\n')}
    assert said_of_camera(pi(tmp_path, said=two)) == (
        "ok",
        "imx708 (libcamera), imx219 (libcamera)",
    )
    usb(tmp_path)
    none = {"edge.doctor.child_cameras": Said(0, "[]\n")}
    assert said_of_camera(pi(tmp_path, said=none)) == ("ok", "HD Webcam (/dev/video0)")


def test_the_codecs_of_a_pi_are_no_cameras(tmp_path: Path) -> None:
    none = {"edge.doctor.child_cameras": Said(0, "[]\n")}
    files = {
        "sys/class/video4linux/video10/name": "bcm2835-codec-decode\n",
        "sys/class/video4linux/v4l-subdev0/name": None,
    }
    assert said_of_camera(pi(tmp_path, files, none)) == ("fail", "no camera")


def test_a_sensor_that_libcamera_does_not_see(tmp_path: Path) -> None:
    none = {"edge.doctor.child_cameras": Said(0, "[]\n")}
    state, found = said_of_camera(pi(tmp_path, said=none))
    assert (state, found) == ("fail", "the kernel has imx708, but libcamera sees no camera")


def test_where_libcamera_cannot_be_asked_no_cable_is_blamed(tmp_path: Path) -> None:
    dead = {"edge.doctor.child_cameras": Said(1, "", BUILT_FOR_NUMPY_1)}
    state, found = said_of_camera(pi(tmp_path, said=dead))
    assert (state, "the kernel has imx708; libcamera could not be asked" in found) == (
        "unknown",
        True,
    )


@pytest.mark.parametrize("out", ["", "what", '{"a": 1}', "[", "\0"])
def test_garbage_is_no_camera(tmp_path: Path, out: str) -> None:
    said = {"edge.doctor.child_cameras": Said(0, out)}
    assert camera.camera(pi(tmp_path, said=said)).state is State.FAIL


def test_a_pc(tmp_path: Path) -> None:
    machine = pi(tmp_path, model="")
    assert said_of_camera(machine) == ("warn", "no camera")
    write(tmp_path, {f"{VIDEO}/name": "Laptop\n", f"{VIDEO}/index": "0\n"})
    assert said_of_camera(machine) == ("ok", "Laptop (/dev/video0)")
    assert isinstance(machine.run, Answers)
    assert not machine.run.asked  # picamera2 is of no interest there


@pytest.mark.parametrize(
    ("text", "found", "state"),
    [
        ("camera_auto_detect=1\n", "camera_auto_detect=1", "ok"),
        ("camera_auto_detect=0\ndtoverlay=imx219,cam0\n", "dtoverlay=imx219", "ok"),
        ("camera_auto_detect=1\nstart_x=1\n", "start_x=1", "fail"),
        ("camera_auto_detect=0\n", "camera_auto_detect=0", "fail"),
        ("camera_auto_detect=1\n[all]\ncamera_auto_detect=0\n", "camera_auto_detect=0", "fail"),
        ("#camera_auto_detect=1\n", "camera_auto_detect is not set", "fail"),
        ("[pi5]\ncamera_auto_detect=1\n", "camera_auto_detect is not set", "fail"),
        ("[pi4]\ncamera_auto_detect=1\n", "camera_auto_detect=1", "ok"),
        ("", "/boot/firmware/config.txt cannot be read", "unknown"),
    ],
)
def test_the_firmware_must_look_for_it(tmp_path: Path, text: str, found: str, state: str) -> None:
    files = {CONFIG: text, "sys/class/video4linux/v4l-subdev0/name": None}
    finding = camera.setup(pi(tmp_path, files))
    assert (finding.found, finding.state) == (found, state)
    assert ("/boot/firmware/config.txt && sudo reboot" in finding.mend) == (state == "fail")


def test_before_bookworm_the_file_lay_elsewhere(tmp_path: Path) -> None:
    files = {CONFIG: None, "boot/config.txt": "camera_auto_detect=0\n"}
    assert "/boot/config.txt" in camera.setup(pi(tmp_path, files)).mend


def test_settings_of_a_board() -> None:
    text = (
        "a=1 # of all\n[pi4]\nb = 2\n[none]\nc=3\n[HDMI:0]\nd=4\n[pi5]\ne=5\n[all]\nnothing\nf=\n"
    )
    assert settings(text, PI_4) == [("a", "1"), ("b", "2"), ("f", "")]
    assert settings(text, PI_5) == [("a", "1"), ("e", "5"), ("f", "")]


def test_devices_that_may_not_be_opened(tmp_path: Path) -> None:
    machine = pi(
        tmp_path, {"dev/dma_heap/linux,cma": ""}, may_open=lambda path: "cma" not in str(path)
    )
    finding = camera.access(machine)
    assert finding.state is State.FAIL
    assert finding.found == "/dev/dma_heap/linux,cma may not be opened"
    assert finding.mend.startswith("sudo usermod -aG ")
    assert camera.access(pi(tmp_path)).state is State.OK


def test_many_devices_are_not_all_named(tmp_path: Path) -> None:
    files = {f"dev/video{number}": "" for number in range(10, 20)}
    machine = pi(tmp_path, files, may_open=lambda _: False)
    assert camera.access(machine).found == (
        "/dev/video0, /dev/video10, /dev/video11 and 9 more may not be opened"
    )


def held(root: Path, name: str, device: str, cgroup: str = "0::/user.slice\n") -> None:
    write(root, {"proc/4711/comm": f"{name}\n", "proc/4711/cgroup": cgroup})
    (root / "proc/4711/fd").mkdir()
    (root / "proc/4711/fd/9").symlink_to(root / device)


def test_a_process_that_has_it_open(tmp_path: Path) -> None:
    machine = pi(tmp_path)
    assert camera.owner(machine).state is State.OK
    held(tmp_path, "motion", "dev/video0")
    finding = camera.owner(machine)
    assert (finding.state, finding.found) == (State.WARN, "motion (pid 4711) has it open")
    assert finding.mend == "sudo kill 4711"


def test_a_service_that_holds_it(tmp_path: Path) -> None:
    machine = pi(tmp_path)
    held(tmp_path, "python3", "dev/media0", "0::/system.slice/edge-live.service\n")
    facts = (tmp_path / "dev/media0").stat()
    place = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
    locks = (
        f"1: POSIX  ADVISORY  WRITE 4711 {place} 0 EOF\n"
        f"1: -> POSIX  ADVISORY  WRITE 4712 {place} 0 EOF\n2: garbage\n"
        f"3: FLOCK  ADVISORY  WRITE x {place} 0 EOF\n"
        f"4: POSIX  ADVISORY  WRITE 4713 ff:ff:{facts.st_ino} 0 EOF\n"
    )
    write(tmp_path, {"proc/locks": locks})
    finding = camera.owner(machine)
    assert (finding.state, finding.found) == (State.FAIL, "python3 (pid 4711) holds the camera")
    assert finding.mend == "sudo systemctl stop edge-live.service"


def test_a_hostile_service_name_is_not_pasted(tmp_path: Path) -> None:
    machine = pi(tmp_path)
    held(tmp_path, "x", "dev/video0", "0::/system.slice/a;reboot;.service\n")
    assert camera.owner(machine).mend == "sudo kill 4711"


def test_the_desktop_that_lists_cameras_holds_none(tmp_path: Path) -> None:
    machine = pi(tmp_path)
    held(tmp_path, "wireplumber", "dev/media0")
    assert camera.owner(machine).state is State.OK


def test_without_devices_there_is_nothing_to_own(tmp_path: Path) -> None:
    machine = bare(tmp_path)
    assert camera.access(machine).state is State.SKIP
    assert camera.owner(machine).state is State.SKIP


def test_the_child_prints_what_the_loop_sees(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge.doctor import child_cameras
    from edge.sources import picamera2

    monkeypatch.setattr(picamera2, "list_cameras", lambda: ["imx219"])
    child_cameras.main([])
    assert json.loads(capsys.readouterr().out) == ["imx219"]
