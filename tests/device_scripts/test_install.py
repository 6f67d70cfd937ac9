"""install.sh in a system below a folder: what it makes, what it takes back, what it refuses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device_scripts.installing import INSTALL, UNIT, System, exec_start, new_system

pytestmark = pytest.mark.skipif(not shutil.which("systemctl"), reason="systemctl is not installed")
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def system(tmp_path: Path) -> System:
    return new_system(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"a model")
    return path


def releases(system: System, prefix: str = "opt/edge-live") -> list[Path]:
    return sorted((system.root / prefix).glob("release.*"))


def test_what_an_install_makes(system: System, model: Path, tmp_path: Path) -> None:
    labels = tmp_path / "names"
    labels.write_text("one\n")
    said = system.install("--model", model, "--labels", labels, "--source", "v4l2:0")
    assert "installed in /opt/edge-live, as the user edge-live" in said
    [release] = releases(system)
    copy = release / "model" / "model.tflite"
    assert copy.read_bytes() == b"a model"
    assert [oct(path.stat().st_mode)[-3:] for path in (release, copy)] == ["755", "444"]
    assert (release / "labels.txt").read_text() == "one\n"
    inside = f"/opt/edge-live/{release.name}"
    assert exec_start(system.unit) == [
        *[f"{inside}/venv/bin/python", "-I", "-B", "-X", "faulthandler"],
        *["-m", "device_scripts.live_classify", "--model", f"{inside}/model/model.tflite"],
        *["--labels", f"{inside}/labels.txt", "--source", "v4l2:0"],
        *["--log", "/var/log/edge-live/latency.jsonl"],
    ]
    assert "\nUser=edge-live\nSupplementaryGroups=video\n" in system.unit
    assert "\nRestrictAddressFamilies=AF_UNIX AF_NETLINK\nIPAddressDeny=any\n" in system.unit
    link = system.root / "etc/systemd/system/multi-user.target.wants/edge-live.service"
    assert link.readlink() == Path("/") / UNIT
    [package] = [line for line in pip_arguments(release) if line.endswith("[tflite]")]
    assert (Path(package.removesuffix("[tflite]")) / "pyproject.toml").exists()
    account = re.search("^edge-live:.*", (system.root / "etc/passwd").read_text(), re.MULTILINE)
    if IS_ROOT:
        assert account is not None
        assert account[0].endswith(":/nonexistent:/usr/sbin/nologin")
    else:
        assert "the user edge-live is not there yet" in said


def pip_arguments(release: Path) -> list[str]:
    return (release / "venv/bin/pip-arguments").read_text().splitlines()


def test_twice_is_an_update_and_uninstall_leaves_the_logs(system: System, model: Path) -> None:
    before = system.tree()
    system.install("--model", model)
    [first] = releases(system)
    model.write_bytes(b"a better model")
    system.install("--model", model, "--", "--threads", "2")
    [second] = releases(system)
    assert second != first
    assert (second / "model/model.tflite").read_bytes() == b"a better model"
    assert exec_start(system.unit)[0].startswith(f"/opt/edge-live/{second.name}/")
    assert exec_start(system.unit)[-2:] == ["--threads", "2"]
    log = system.root / "var/log/edge-live/latency.jsonl"
    log.parent.mkdir()
    log.write_text("{}\n")
    remembered = system.root / "var/cache/edge-live/choices.json"
    remembered.parent.mkdir(parents=True)
    remembered.write_text("{}")
    assert "left: the logs in" in system.install("--uninstall")
    remembered.parent.parent.rmdir()  # it was empty, and not there before
    after = system.tree()
    assert after.pop("var/log/edge-live")
    assert after.pop("var/log/edge-live/latency.jsonl")
    assert after == without_databases(before, after)
    system.install("--model", model)
    assert "left" not in system.install("--uninstall", "--remove-logs")
    assert not log.parent.exists()
    assert "nothing is installed" in system.install("--uninstall")


def without_databases(
    before: dict[str, tuple[str, bytes]], after: dict[str, tuple[str, bytes]]
) -> dict[str, tuple[str, bytes]]:
    """Return `before` with what useradd and userdel leave in the databases of `after`: nothing."""
    for name in ("etc/passwd", "etc/group"):
        assert after[name][1] == before[name][1]
    return before | {name: after[name] for name in ("etc/passwd", "etc/group")}


def test_uninstall_says_what_it_leaves(system: System, model: Path) -> None:
    system.install("--model", model, "--prefix", "/opt/it")
    own = system.root / "opt/it/mine.txt"
    own.write_text("mine")
    changes = system.root / f"{UNIT}.d"
    changes.mkdir()
    said = system.install("--uninstall")
    assert f"left: {system.root}/opt/it, which holds" in said
    assert f"left: {changes}, your own" in said
    assert [path.name for path in own.parent.iterdir()] == ["mine.txt"]


def test_a_unit_of_others_is_left_alone(system: System, model: Path) -> None:
    (system.root / UNIT).write_text("[Service]\nExecStart=/bin/true\n")
    before = system.tree()
    done = system.try_install("--uninstall")
    assert done.returncode == 2
    assert "was not written by install.sh" in done.stderr
    done = system.try_install("--model", model)
    assert done.returncode == 2
    assert "is there, of an install in ''" in done.stderr
    assert system.tree() == before


def test_there_is_one_place_at_a_time(system: System, model: Path) -> None:
    system.install("--model", model, "--prefix", "/opt/first")
    before = system.tree()
    done = system.try_install("--model", model)
    assert done.returncode == 2
    assert "is there, of an install in '/opt/first': take that --prefix" in done.stderr
    assert system.tree() == before


@pytest.mark.parametrize("is_there", [False, True], ids=["first", "update"])
@pytest.mark.parametrize("step", ["venv", "pip", "model", "options", "enable"])
def test_a_step_that_fails_leaves_what_was_there(
    system: System, model: Path, step: str, is_there: bool
) -> None:
    if is_there:
        system.install("--model", model)
    before = system.tree()
    model.write_bytes(b"another model")
    done = system.try_install("--model", model, "--user", "eyes", fails_at=step)
    assert done.returncode != 0
    assert "failed; taking back what was done" in done.stderr
    after = system.tree()
    assert after == without_databases(before, after)


WILD = [
    "two words",
    "100%",
    "%h %% %",
    "$HOME ${HOME} $$ $",
    'it\'s "so"',
    "back\\slash\\",
    "\\x41 \\n",
    "",
    ";",
    "#",
    "café \N{GRINNING FACE}",
    "@USER@ @COMMAND@ & \\1",
    "`id` $(id) * ? ~",
]


def test_wild_names_and_options_come_through_unharmed(system: System, tmp_path: Path) -> None:
    model = tmp_path / "%i $X \"y\" 'z' \\w é.onnx"
    model.write_bytes(b"a model")
    prefix = "opt/we ird %h $HOME é"
    places: list[str | Path] = ["--model", model, "--prefix", f"/{prefix}"]
    system.install(*places, "--source", "clip %n $1.mp4", "--", *WILD)
    [release] = releases(system, prefix)
    command = exec_start(system.unit)
    assert command[0] == f"/{prefix}/{release.name}/venv/bin/python"
    assert command[8] == f"/{prefix}/{release.name}/model/{model.name}"
    assert command[10] == "clip %n $1.mp4"
    assert command[-len(WILD) :] == WILD
    assert (release / "model" / model.name).exists()
    system.install("--uninstall")
    assert not release.parent.exists()


def test_a_dry_run_says_all_and_does_nothing(system: System, model: Path) -> None:
    before = system.tree()
    said = system.install("--model", model, "--dry-run")
    account = "useradd" if IS_ROOT else "the user edge-live is not there yet"
    for word in (account, "-m venv", "-m pip", "would write", "[Service]", " enable "):
        assert word in said
    assert system.tree() == before
    system.install("--model", model)
    before = system.tree()
    said = system.install("--uninstall", "--dry-run")
    for word in ("disable", f"rm -f -- {system.root / UNIT}", "rm -rf"):
        assert word in said
    assert system.tree() == before


def test_without_network_packages_come_from_a_folder(
    system: System, model: Path, tmp_path: Path
) -> None:
    wheel = tmp_path / "edge_deploy-1-py3-none-any.whl"
    wheel.write_bytes(b"")
    system.install("--model", model, "--package", wheel, "--wheels", tmp_path)
    arguments = pip_arguments(releases(system)[0])
    # The stand-in's NumPy is 1, as on Bookworm.
    where = arguments.index("--no-index")
    assert arguments[where:] == [
        *["--no-index", "--find-links", str(tmp_path), f"{wheel}[tflite]"],
        *["numpy<2", "opencv-python-headless<4.12"],
    ]
    system.install("--model", model, fails_at="numpy")
    arguments = pip_arguments(releases(system)[0])
    assert "--no-index" not in arguments
    assert "numpy<2" not in arguments


def test_a_stream_may_use_the_network(system: System, model: Path) -> None:
    said = system.install("--model", model, "--source", "rtsp://me:secret@host/1")
    assert "the password in --source is in" in said
    assert "After=network-online.target" in system.unit
    assert "AF_INET" in system.unit
    assert "IPAddressDeny" not in system.unit


NO_TOKEN = "others than this machine may ask only with a token"  # noqa: S105


@pytest.mark.parametrize(
    ("options", "families", "addresses", "binds", "extras"),
    [
        (["--threads", "2"], "AF_UNIX AF_NETLINK", ["Deny=any"], [], "tflite"),
        (
            ["--web", "8080"],
            "AF_UNIX AF_NETLINK AF_INET AF_INET6",
            ["Deny=any", "Allow=localhost"],
            ["Deny=any", "Allow=tcp:8080"],
            "report,tflite,web",
        ),
        (
            ["--web=[::1]:8080", "--metrics", "localhost:9100"],
            "AF_UNIX AF_NETLINK AF_INET AF_INET6",
            ["Deny=any", "Allow=localhost"],
            ["Deny=any", "Allow=tcp:8080", "Allow=tcp:9100"],
            "metrics,report,tflite,web",
        ),
        (
            ["--metrics", "0.0.0.0:9100", "--token-file", "/etc/token"],
            "AF_UNIX AF_NETLINK AF_INET AF_INET6",
            [],
            ["Deny=any", "Allow=tcp:9100"],
            "metrics,tflite",
        ),
        (
            ["--mqtt", "mqtts://pi@broker:8883/porch", "--web", "8080"],
            "AF_UNIX AF_NETLINK AF_INET AF_INET6",
            [],
            [],
            "mqtt,report,tflite,web",
        ),
        (
            ["--mqtt", "mqtt://pi@localhost:1883/porch"],
            "AF_UNIX AF_NETLINK AF_INET AF_INET6",
            ["Deny=any", "Allow=localhost"],
            [],
            "mqtt,tflite",
        ),
    ],
)
def test_options_open_what_they_need_and_no_more(
    system: System,
    model: Path,
    options: list[str],
    families: str,
    addresses: list[str],
    binds: list[str],
    extras: str,
) -> None:
    (system.root / "etc/token").write_text("0123456789abcdef")
    system.install("--model", model, "--", *options)
    unit = system.unit
    assert re.findall("^RestrictAddressFamilies=(.*)$", unit, re.MULTILINE) == [families]
    assert re.findall("^IPAddress(.*)$", unit, re.MULTILINE) == addresses
    assert re.findall("^SocketBind(.*)$", unit, re.MULTILINE) == binds
    assert ("After=network-online" in unit) is (not addresses)
    [package] = [line for line in pip_arguments(releases(system)[0]) if line.endswith("]")]
    assert package.endswith(f"[{extras}]")


def test_secrets_are_read_by_the_service_manager(system: System, model: Path) -> None:
    for name in ("tok en", "100%", "ca.pem"):
        (system.root / "etc" / name).write_text("0123456789abcdef")
    options = ["--web", "0.0.0.0:8080", "--token-file", "/etc/tok en", "--top", "%d"]
    mqtt = [
        "--mqtt",
        "mqtts://pi@b/x",
        "--mqtt-password-file=/etc/100%",
        "--mqtt-ca",
        "/etc/ca.pem",
    ]
    system.install("--model", model, "--", *options, *mqtt)
    assert re.findall("^LoadCredential=(.*)$", system.unit, re.MULTILINE) == [
        "token-file:/etc/tok en",
        "mqtt-password-file:/etc/100%%",
        "mqtt-ca:/etc/ca.pem",
    ]
    [line] = [line for line in system.unit.splitlines() if line.startswith("ExecStart=")]
    assert line.endswith(
        ' "--web" "0.0.0.0:8080" "--token-file" "%d/token-file" "--top" "%%d"'
        ' "--mqtt" "mqtts://pi@b/x" "--mqtt-password-file" "%d/mqtt-password-file"'
        ' "--mqtt-ca" "%d/mqtt-ca"'
    )
    assert "0123456789abcdef" not in system.unit


def test_each_bad_argument_gets_one_sentence(system: System, model: Path, tmp_path: Path) -> None:
    before = system.tree()
    other = tmp_path / "model.h5"
    other.touch()
    good = ["--model", model]
    for arguments, fails_at, message in (
        ([], "", "--model is missing"),
        (["--model"], "", "--model needs a value"),
        (["--model", tmp_path / "none.tflite"], "", "there is no such model"),
        (["--model", other], "", "neither .tflite nor .onnx"),
        ([*good, "--labels", "none"], "", "no such file of labels"),
        ([*good, "--user", "root"], "", "must not run as root"),
        ([*good, "--user", "a b"], "", "--user a b: allowed"),
        ([*good, "--prefix", "here"], "", "name an absolute folder"),
        ([*good, "--prefix", "/"], "", "name an absolute folder"),
        ([*good, "--prefix", "/opt/a/b"], "", "make /opt/a first"),
        ([*good, "--prefix", '/opt/"a"'], "", "no program of systemd's has"),
        ([*good, "--package", tmp_path], "", "neither a wheel nor the sources"),
        ([*good, "--wheels", "none"], "", "there is no such folder"),
        ([*good, "--threads", "2"], "", "options of edge-live go behind --"),
        ([*good, "--", "--web"], "", "--web needs a value"),
        ([*good, "--", "--web", "80"], "", "--web 80: allowed: PORT or HOST:PORT, from 1024 on"),
        ([*good, "--", "--metrics", "x"], "", "--metrics x: allowed: PORT or HOST:PORT"),
        ([*good, "--", "--web", "0.0.0.0:8080"], "", NO_TOKEN),
        ([*good, "--", "--token-file", "/none"], "", "--token-file /none: there is no such file"),
        ([*good, "--", "two\nlines"], "", "control characters or no UTF-8"),
        ([*good, "--", os.fsdecode(b"caf\xe9")], "", "control characters or no UTF-8"),
        ([*good, "--source", "picamera2"], "picamera2", "sudo apt install python3-picamera2"),
        ([*good, "--source", "picamera2:1"], "picamera2", "cannot import picamera2"),
    ):
        done = system.try_install(*arguments, fails_at=fails_at or "nothing")
        assert done.returncode == 2, message
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        assert line.startswith("install.sh: error: ")
        assert message in line
    assert system.tree() == before


def test_a_running_system_is_only_roots_to_change(system: System, model: Path) -> None:
    (system.programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (system.programs / "id").chmod(0o755)
    done = subprocess.run(
        [INSTALL, "--model", model, "--python", "/bin/false"],
        env={"PATH": f"{system.programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "install.sh: error: this needs root: run it with sudo\n"


def test_help_shows_examples() -> None:
    done = subprocess.run([INSTALL, "--help"], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    assert "--uninstall" in done.stdout


def test_the_lines_of_the_readme_are_understood(system: System, tmp_path: Path) -> None:
    (tmp_path / "model.int8.tflite").touch()
    readme = (INSTALL.parents[1] / "README.md").read_text()
    lines = re.findall(r"^sudo device_scripts/install\.sh (.*)$", readme, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        arguments = line.replace("model.int8", f"{tmp_path}/model.int8").split(" ")
        system.install("--dry-run", *arguments)


# The extra `dev` brings it, beside the Python of the tests.
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    assert SHELLCHECK is not None
    done = subprocess.run([SHELLCHECK, INSTALL], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
