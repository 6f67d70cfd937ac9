"""The system's width, and the Python that will run the loop with its packages."""

from __future__ import annotations

from edge.doctor.finding import Finding, State, fail, ok, unknown, warn
from edge.doctor.machine import Machine

OLDEST, NEWEST = (3, 11), (3, 14)  # those that the project is tested with
# Distribution, the module that the loop imports of it. LiteRT continues tflite-runtime.
RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "onnxruntime": "onnxruntime",
}
# OpenCV's builds that open windows bring their own Qt.
WITH_QT = ("opencv-python", "opencv-contrib-python")
HEADLESS = ("opencv-python-headless", "opencv-contrib-python-headless")


def system(machine: Machine) -> Finding:
    """32-bit systems have neither LiteRT nor ONNX Runtime, and are the default of old cards."""
    bits = machine.python.bits
    found = f"{bits}-bit Python, {machine.kernel} kernel"
    if bits == 64:
        return ok(found)
    meaning = (
        "32-bit has no wheels of LiteRT or ONNX Runtime, only tflite-runtime 2.14 with Python "
        "3.11 and NumPy 1, which is slower. Write Raspberry Pi OS (64-bit) on the card, with "
        "Raspberry Pi Imager on a PC"
    )
    if machine.kernel == "armv6l":
        return fail(
            found, "this board (a Pi 1 or Zero) has no 64-bit system; take a Zero 2 or newer"
        )
    state = warn if "tflite-runtime" in machine.python.packages else fail
    return state(found, meaning)


def version(machine: Machine) -> Finding:
    """Wheels exist for a range of Pythons."""
    major, minor, micro = machine.python.version
    found = f"Python {major}.{minor}.{micro}"
    if OLDEST <= (major, minor) <= NEWEST:
        return ok(found)
    return warn(
        found,
        f"tested with {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}; the runtimes may have "
        "no wheels for another one. The system's own is the one that picamera2 is made for",
        "/usr/bin/python3 -m venv --system-site-packages ~/edge",
    )


def environment(machine: Machine) -> Finding:
    """picamera2 and libcamera come with the system: the environment must see its packages."""
    python = machine.python
    kind = "a virtual environment" if python.is_venv else "no virtual environment"
    if python.base_prefix != "/usr":
        return warn(
            f"{kind}, of the Python in {python.base_prefix}",
            "the system's picamera2 is for the system's Python alone (a USB camera does without). "
            "The command makes a new environment with that; install edge-deploy into it again",
            python.way_to_system,
        )
    if not python.is_venv:
        return ok("the system's Python, " + kind)
    if python.sees_system is None:
        return unknown(f"{python.prefix}/pyvenv.cfg does not say what the environment sees")
    if python.sees_system:
        return ok(f"{kind} that sees the system's packages")
    return warn(
        f"{kind} without --system-site-packages",
        "it cannot see picamera2, which comes with the system (a USB camera does without). The "
        "command changes that and keeps what is installed",
        python.way_to_system,
    )


def numpy(machine: Machine) -> Finding:
    """Whether NumPy itself loads; what was built against another one, `picamera2` says."""
    return _module(machine, "numpy", "NumPy", "numpy")


def opencv(machine: Machine) -> Finding:
    """OpenCV's own Qt beside picamera2's ends in 'could not load the Qt platform plugin "xcb"'."""
    packages = machine.python.packages
    builds = [name for name in (*WITH_QT, *HEADLESS) if name in packages]
    names = " and ".join(f"{name} {packages[name]}" for name in builds)
    clean = machine.python.pip(f"uninstall -y {' '.join(builds)}")
    mend = f"{clean}; {machine.python.pip(f'install {machine.python.opencv}')}"
    if len(builds) > 1:
        return warn(names, "they overwrite each other's files; keep the headless one", mend)
    loaded = _module(machine, "cv2", "OpenCV", machine.python.opencv)
    if not set(builds) & set(WITH_QT) or not (machine.is_pi or "libGL" in loaded.found):
        return loaded
    meaning = (
        f"{builds[0]} brings its own Qt and wants libGL: it fails on a system without a desktop, "
        'and beside picamera2\'s Qt ("xcb"). The headless build does not'
    )
    state = warn if loaded.state is State.OK else fail
    return state(f"{names}: {loaded.found}", meaning, mend)


def runtime(machine: Machine) -> Finding:
    """One that loads is enough; the model's format says which."""
    python = machine.python
    names = [name for name in RUNTIMES if name in python.packages]
    wanted = "ai-edge-litert" if python.bits == 64 else "'tflite-runtime==2.14.0' 'numpy<2'"
    if not names:
        return fail(
            "no runtime is installed",
            "a .tflite file needs ai-edge-litert, an .onnx file onnxruntime",
            python.pip(f"install {wanted}"),
        )
    answers = {name: machine.child("edge.doctor.child_import", RUNTIMES[name]) for name in names}
    broken = {name: said.last_line for name, said in answers.items() if said.status != 0}
    found = ", ".join(f"{name} {python.packages[name]}" for name in names)
    if broken:
        state = fail if len(broken) == len(names) else warn
        again = [name for name in broken if name != "tflite-runtime"]
        return state(
            "; ".join(f"{name} cannot be loaded ({why})" for name, why in broken.items()),
            "it was built for another Python, NumPy or processor",
            python.reinstall(*again) if again else python.pip(f"install {wanted}"),
        )
    if names == ["tflite-runtime"] and python.bits == 64:
        return warn(
            found,
            "it ends at Python 3.11 and NumPy 1, and at the kernels of 2023; LiteRT continues it",
            python.pip("install ai-edge-litert"),
        )
    return ok(found)


def _module(machine: Machine, module: str, name: str, distribution: str) -> Finding:
    said = machine.child("edge.doctor.child_import", module)
    if said.status == 0:
        return ok(f"{name} {said.out.strip()}")
    return fail(
        f"{name} cannot be loaded ({said.last_line})",
        "the loop cannot start without it",
        machine.python.reinstall(distribution),
    )
