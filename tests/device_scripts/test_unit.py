"""The unit that install.sh writes, as systemd's own tools judge it, and as a process starts by it.

Nothing of systemd needs to run for that.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from edge.card import CARD_KEY, ModelCard
from edge.latency.read import read_log
from edge.preprocess import PRESETS
from tests.device_scripts.installing import SCRIPTS, System, exec_start, new_system
from tests.edge.backends.tiny_models import tflite_model

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)
# Ten times the exposure; the service is at 1.2, one without any protection at 9.6.
MAX_EXPOSURE = "15"


@pytest.fixture
def system(tmp_path: Path) -> System:
    return new_system(tmp_path)


def unit_of(system: System, source: str, *, version: int | None = None) -> str:
    """Install with this source, on a systemd of this version, and return the unit."""
    if version is not None:
        control = system.programs / "systemctl"
        said = f'[ "$*" != --version ] || {{ echo "systemd {version} (x)"; exit; }}\nexec '
        control.write_text(control.read_text().replace("exec ", said))
    model = system.root.parent / "100% $model.tflite"
    model.touch()
    system.install("--model", model, "--source", source, "--", "50%", "$HOME")
    return system.unit


def verify(unit: str, folder: Path) -> tuple[int, str]:
    """Return what systemd-analyze says of the unit, whose program is one that is there."""
    path = folder / "edge-live.service"
    path.write_text(re.sub('ExecStart=:"[^"]*"', 'ExecStart=:"/bin/true"', unit))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path],
        capture_output=True,
        text=True,
        check=False,
    )
    # Of other units on this machine it also speaks.
    lines = [line for line in done.stderr.splitlines() if "edge-live" in line]
    return done.returncode, "\n".join(lines)


@pytest.mark.parametrize("source", ["picamera2", "rtsp://host/1"])
def test_systemd_takes_the_unit(system: System, source: str, tmp_path: Path) -> None:
    assert verify(unit_of(system, source), tmp_path) == (0, "")


def test_systemd_takes_a_unit_that_is_seen_from_elsewhere(system: System, tmp_path: Path) -> None:
    (system.root / "etc/token").touch()
    options = ["--web", "0.0.0.0:8080", "--metrics", "9100", "--token-file", "/etc/token"]
    model = tmp_path / "model.tflite"
    model.touch()
    system.install("--model", model, "--", *options)
    assert "SocketBindAllow=tcp:9100" in system.unit
    assert verify(system.unit, tmp_path) == (0, "")
    for right, wrong in (("Allow=tcp:9100", "Allow=tcp:x"), ("=token-file:", "=token/file:")):
        assert right in system.unit
        status, said = verify(system.unit.replace(right, wrong), tmp_path)
        assert status != 0 or said, wrong


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Type=notify", "Type=notfy"),
        ("WatchdogSec=30", "WatchdogSec=soon"),
        ("ProtectSystem=strict", "ProtectSystems=strict"),
        ('ExecStart=:"/bin/true"', 'ExecStart=:"/bin/tr"ue"'),
    ],
)
def test_systemd_says_what_is_wrong_with_a_unit(
    system: System, right: str, wrong: str, tmp_path: Path
) -> None:
    unit = re.sub('ExecStart=:"[^"]*"', 'ExecStart=:"/bin/true"', unit_of(system, "auto"))
    assert right in unit
    status, said = verify(unit.replace(right, wrong), tmp_path)
    assert status != 0 or said


def test_delays_grow_where_systemd_can(system: System) -> None:
    assert "RestartSteps=5\nRestartMaxDelaySec=60\n" in unit_of(system, "auto", version=254)


def test_an_older_systemd_is_not_asked_what_it_cannot(system: System) -> None:
    unit = unit_of(system, "auto", version=252)
    assert "RestartSec=5\n" in unit
    assert "RestartSteps" not in unit
    assert "RestartMaxDelaySec" not in unit


def test_nothing_of_the_template_is_left(system: System) -> None:
    unit = unit_of(system, "auto")
    assert not re.search("^@|@[A-Z]+@|template", unit, re.MULTILINE)
    [prefix] = re.findall(r"^\[X-Install\]\nPrefix=(.*)$", unit, re.MULTILINE)
    assert prefix == "/opt/edge-live"


def exposure_is_low(unit: str, folder: Path) -> bool:
    path = folder / "edge-live.service"
    path.write_text(unit)
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    done = subprocess.run(
        [*command, f"--threshold={MAX_EXPOSURE}", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Overall exposure level for edge-live.service" in done.stdout, done.stderr
    return done.returncode == 0


def test_the_service_is_exposed_to_little(system: System, tmp_path: Path) -> None:
    unit = unit_of(system, "picamera2")
    assert exposure_is_low(unit, tmp_path)
    for line in ("CapabilityBoundingSet=", "SystemCallFilter=@system-service", "User=edge-live"):
        assert f"\n{line}\n" in unit
        assert not exposure_is_low(unit.replace(f"\n{line}\n", "\n"), tmp_path), line


def wheel(folder: Path, name: str, version: str, content: dict[str, bytes]) -> Path:
    """Write a wheel (PEP 427) of these files."""
    info = f"{name}-{version}.dist-info"
    files = content | {
        f"{info}/METADATA": metadata(name, version),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},"
        f"{len(data)}"
        for path, data in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, data in files.items():
            archive.writestr(place, data)
    return path


def metadata(name: str, version: str) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    if name == "edge_deploy":
        lines += ["Provides-Extra: tflite", 'Requires-Dist: this-host; extra == "tflite"']
    return "\n".join([*lines, ""]).encode()


def ours() -> dict[str, bytes]:
    """Return the files of the two packages that a board needs."""
    root = SCRIPTS.parent
    return {
        str(path.relative_to(root)): path.read_bytes()
        for package in ("edge", "device_scripts")
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_what_was_installed_starts_and_is_ready(system: System, tmp_path: Path) -> None:
    """Real environment, real pip without network, and the very command of the unit."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    package = wheel(wheels, "edge_deploy", "0.0.1", ours())
    # NumPy and the runtime are those that run this test.
    wheel(wheels, "this_host", "1", {"host.pth": sysconfig.get_path("purelib").encode()})
    (system.programs / "python3").unlink()
    (system.programs / "python3").symlink_to(sys.executable)
    model = tmp_path / "model.tflite"
    card = ModelCard("tiny", PRESETS["unit"], ("red", "green", "blue")).to_json()
    model.write_bytes(tflite_model({CARD_KEY: card.encode()}, dtype="float32"))

    places: list[str | Path] = ["--model", model, "--package", package, "--wheels", wheels]
    system.install(*places, "--source", "digits", "--", "--duration", "1.5")
    program, *arguments = exec_start(system.unit)
    for option, place in (("--model", f"{system.root}"), ("--log", f"{tmp_path}")):
        where = arguments.index(option) + 1
        arguments[where] = place + arguments[where]
    log = tmp_path / "var/log/edge-live/latency.jsonl"
    log.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1)
        done = subprocess.run(
            [f"{system.root}{program}", *arguments],
            env={"NOTIFY_SOCKET": manager.getsockname()},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        heard = [manager.recv(4096).decode() for _ in range(2)]
    assert heard[0] == "READY=1"
    assert heard[1].startswith("STATUS=")
    read = read_log(log)
    assert read.run.model.startswith(f"{system.root}/opt/edge-live/release.")
    assert read.reason == "1.5 s"
