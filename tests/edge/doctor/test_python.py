from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edge.doctor.checks import python
from edge.doctor.finding import State
from edge.doctor.interpreter import Python, installed
from edge.doctor.machine import Said
from tests.edge.doctor.machines import PACKAGES, bare, pi, venv

ROOT = Path(__file__).parents[3]
LITERT = {"ai-edge-litert": "2.3.0"}
LOADS = Said(0, "4.11.0\n")
TFLITE = {"tflite-runtime": "2.14.0"}


@pytest.mark.parametrize(
    ("bits", "kernel", "packages", "state"),
    [
        (64, "aarch64", LITERT, State.OK),
        (32, "aarch64", {}, State.FAIL),  # 32-bit system on a 64-bit kernel: Bookworm's armhf
        (32, "armv7l", TFLITE, State.WARN),
        (32, "armv6l", TFLITE, State.FAIL),
    ],
)
def test_the_width(
    tmp_path: Path, bits: int, kernel: str, packages: dict[str, str], state: State
) -> None:
    machine = pi(tmp_path, python=venv(tmp_path, bits=bits, packages=packages))
    object.__setattr__(machine, "kernel", kernel)
    assert python.system(machine).state is state


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 10, 9), "warn"), ((3, 11, 0), "ok"), ((3, 14, 9), "ok"), ((3, 15, 0), "warn")],
)
def test_the_pythons_that_are_tested(
    tmp_path: Path, version: tuple[int, int, int], state: str
) -> None:
    finding = python.version(pi(tmp_path, python=venv(tmp_path, version=version)))
    assert finding.state == state


def test_the_pythons_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    assert (named[0], named[-1]) == tuple(
        f"{major}.{minor}" for major, minor in (python.OLDEST, python.NEWEST)
    )


def test_an_environment_that_sees_the_system(tmp_path: Path) -> None:
    assert python.environment(pi(tmp_path)).state is State.OK
    outside = venv(tmp_path, prefix="/usr")
    assert python.environment(pi(tmp_path, python=outside)).state is State.OK


def test_an_environment_that_does_not(tmp_path: Path) -> None:
    inside = venv(tmp_path, sees_system=False)
    finding = python.environment(pi(tmp_path, python=inside))
    assert finding.state is State.WARN
    assert finding.mend == f"/usr/bin/python3 -m venv --system-site-packages {inside.prefix}"


def test_an_environment_of_another_python(tmp_path: Path) -> None:
    other = venv(tmp_path, base_prefix="/opt/python", prefix="/home/pi/my env")
    finding = python.environment(pi(tmp_path, python=other))
    assert finding.state is State.WARN
    assert finding.mend == (
        "/usr/bin/python3 -m venv --system-site-packages --clear '/home/pi/my env'"
    )


@pytest.mark.parametrize("text", ["", "home = /usr/bin\n", "include-system-site-packages"])
def test_a_damaged_pyvenv_is_unknown(tmp_path: Path, text: str) -> None:
    inside = venv(tmp_path, sees_system=None)
    (Path(inside.prefix) / "pyvenv.cfg").write_text(text)
    assert python.environment(pi(tmp_path, python=inside)).state is State.UNKNOWN


def test_the_command_changes_the_flag_and_keeps_what_is_installed(tmp_path: Path) -> None:
    """The claim of the message, tried with a real environment and this Python."""
    place = tmp_path / "env"
    make = [sys.executable, "-m", "venv", "--without-pip", str(place)]
    subprocess.run(make, check=True)
    [site] = place.glob("lib/python*/site-packages")
    (site / "kept.py").touch()
    inside = Python(prefix=str(place), base_prefix="/usr", packages={})
    assert inside.sees_system is False
    words = inside.way_to_system.split()
    assert words[0] == "/usr/bin/python3"
    subprocess.run([sys.executable, *words[1:], "--without-pip"], check=True)
    assert inside.sees_system is True
    assert inside.way_to_system == ""
    assert (site / "kept.py").exists()


def test_pip_where_apt_looks_after_python(tmp_path: Path) -> None:
    assert venv(tmp_path).pip("list").endswith("/bin/python -m pip list")
    managed = venv(tmp_path, prefix="/usr", executable="/usr/bin/python3")
    assert managed.pip("list") == "/usr/bin/python3 -m pip list --break-system-packages"
    free = venv(tmp_path, prefix="/usr", executable="/opt/my python", is_managed=False)
    assert free.pip("list") == "'/opt/my python' -m pip list"


def test_a_numpy_that_does_not_load(tmp_path: Path) -> None:
    assert python.numpy(pi(tmp_path)).found == "NumPy 1.0"
    broken = Said(1, "", "Traceback ...\nImportError: libopenblas.so.0: cannot open\n")
    finding = python.numpy(pi(tmp_path, said={"edge.doctor.child_import": broken}))
    assert finding.state is State.FAIL
    assert "libopenblas" in finding.found
    pip = f"{venv(tmp_path).executable} -m pip"
    assert finding.mend == (
        f"{pip} install --upgrade --force-reinstall --no-deps numpy && {pip} install numpy"
    )


def opencv(root: Path, *builds: str, said: Said = LOADS) -> tuple[State, str]:
    packages = PACKAGES | dict.fromkeys(builds, "4.11.0.86")
    inside = venv(root, packages=packages)
    finding = python.opencv(pi(root, said={"cv2": said}, python=inside))
    return finding.state, finding.mend


def test_the_headless_build_is_the_one(tmp_path: Path) -> None:
    assert opencv(tmp_path, "opencv-python-headless") == (State.OK, "")
    assert opencv(tmp_path) == (State.OK, "")  # Debian's own


@pytest.mark.parametrize("build", ["opencv-python", "opencv-contrib-python"])
def test_the_qt_of_opencv_clashes_with_that_of_picamera2(tmp_path: Path, build: str) -> None:
    state, mend = opencv(tmp_path, build)
    assert state is State.WARN
    assert f"uninstall -y {build};" in mend
    # NumPy is 1.26 there, and picamera2 needs it to stay so.
    assert mend.endswith("install 'opencv-python-headless<4.12'")
    no_gl = Said(1, "", "ImportError: libGL.so.1: cannot open shared object file")
    assert opencv(tmp_path, build, said=no_gl)[0] is State.FAIL


def test_two_builds_overwrite_each_other(tmp_path: Path) -> None:
    state, mend = opencv(tmp_path, "opencv-python", "opencv-python-headless")
    assert state is State.WARN
    assert "uninstall -y opencv-python opencv-python-headless;" in mend


def test_on_a_pc_opencv_with_windows_is_no_trouble(tmp_path: Path) -> None:
    packages = {"opencv-python": "4.11.0.86"}
    machine = pi(tmp_path, model="", python=venv(tmp_path, packages=packages))
    assert python.opencv(machine).state is State.OK


def runtime(root: Path, packages: dict[str, str], *broken: str, bits: int = 64) -> tuple[str, str]:
    said = {python.RUNTIMES[name]: Said(-4, "", "") for name in broken}
    inside = venv(root, packages=packages, bits=bits)
    finding = python.runtime(pi(root, said=said, python=inside))
    return finding.state, finding.mend.partition(" -m pip ")[2]


def test_runtimes(tmp_path: Path) -> None:
    both = LITERT | {"onnxruntime": "1.23.0"}
    assert runtime(tmp_path, both) == ("ok", "")
    assert runtime(tmp_path, {}) == ("fail", "install ai-edge-litert")
    assert runtime(tmp_path, {}, bits=32) == ("fail", "install 'tflite-runtime==2.14.0' 'numpy<2'")
    assert runtime(tmp_path, TFLITE) == ("warn", "install ai-edge-litert")
    assert runtime(tmp_path, TFLITE, bits=32) == ("ok", "")
    assert runtime(tmp_path, TFLITE, *TFLITE) == ("fail", "install ai-edge-litert")
    state, mend = runtime(tmp_path, both, "onnxruntime")
    assert (state, mend.endswith("-m pip install onnxruntime")) == ("warn", True)
    state, mend = runtime(tmp_path, both, *both)
    assert (state, mend.endswith("-m pip install ai-edge-litert onnxruntime")) == ("fail", True)


def test_opencv_that_fits_the_numpy_that_is_there(tmp_path: Path) -> None:
    assert venv(tmp_path, packages={"numpy": "2.2.4"}).opencv == "opencv-python-headless"
    assert venv(tmp_path).opencv == "'opencv-python-headless<4.12'"


def test_a_runtime_that_crashes_is_named(tmp_path: Path) -> None:
    inside = venv(tmp_path, packages=LITERT)
    said = {"edge.doctor.child_import": Said(-4)}
    finding = python.runtime(pi(tmp_path, said=said, python=inside))
    assert "ai-edge-litert cannot be loaded (exit status -4)" in finding.found


def test_nothing_installed_at_all(tmp_path: Path) -> None:
    machine = bare(tmp_path)
    assert python.environment(machine).state is State.UNKNOWN
    assert python.opencv(machine).state is State.FAIL


def test_what_is_installed_is_found() -> None:
    names = installed()
    assert {"numpy", "opencv-python-headless", "edge-deploy"} <= set(names)
    assert all(names.values())
    assert os.path.basename(sys.executable) in Python().executable  # noqa: PTH119
