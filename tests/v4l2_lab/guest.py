"""The guest: Debian's kernel with its vivid camera, on a PC that an emulator plays.

It is built of packages, without running any of their scripts, and booted without a network; what
goes in and what comes out are archives on two disks of its own.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.pi_lab import roots
from tests.pi_lab.roots import LabError, find, must

PROCESSOR, DEBIAN = "x86_64", "amd64"
PACKAGES = ("base-files", "busybox-static", "kmod", "linux-image-amd64", "python3", "v4l-utils")
WHEELS = ("ai-edge-litert", "numpy", "onnxruntime", "opencv-python-headless")
# What the initial file system must load to see the root's disk.
FIRST_MODULES = ("virtio_blk", "ext4")
INIT = Path(__file__).with_name("init.sh")
ROOT_SIZE, OUT_BYTES = "2G", 64 << 20
EMULATOR = "qemu-system-x86_64"
TOOLS = (*roots.TOOLS, "mke2fs", "depmod", "modprobe", "cpio", "xz", EMULATOR)
# A boot and all that is done takes four minutes on two free cores.
LIMIT_S = 1500
SLEEP_S = 5.0


def cache() -> Path:
    """Return where the guest is kept."""
    return roots.cache("v4l2-lab")


def prepare() -> Path:
    """Return the folder with the guest's kernel, initrd and root.img, made where there is none.

    Raises: LabError: it cannot be made.
    """
    facts = (roots.SUITE, PACKAGES, WHEELS, FIRST_MODULES, ROOT_SIZE, INIT.read_text())
    return roots.kept(cache(), PROCESSOR, facts, _build)


def _build(folder: Path) -> None:
    root = folder.with_name("unpacked")
    roots.unpack(root, DEBIAN, PACKAGES)
    roots.add_wheels(root, PROCESSOR, WHEELS)
    for place in ("dev", "proc", "sys", "tmp"):
        (root / place).mkdir(exist_ok=True)
    [modules] = (root / "usr/lib/modules").iterdir()
    must(["depmod", "-b", root, modules.name])
    folder.mkdir()
    shutil.copy(root / f"boot/vmlinuz-{modules.name}", folder / "kernel")
    _make_initrd(root, modules.name, folder / "initrd")
    image = folder / "root.img"
    layout = ("-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E", "root_owner=0:0")
    must(["mke2fs", *layout, "-d", root, image, ROOT_SIZE])
    shutil.rmtree(root)


def _make_initrd(root: Path, release: str, initrd: Path) -> None:
    tree = root.with_name("initrd")
    for place in ("bin", "dev", "modules", "root"):
        (tree / place).mkdir(parents=True)
    shutil.copy(root / "usr/bin/busybox", tree / "bin")
    shutil.copy(INIT, tree / "init")
    (tree / "init").chmod(0o755)
    files: dict[Path, None] = {}
    for name in FIRST_MODULES:
        told = must(["modprobe", "-d", root, "-S", release, "--show-depends", name])
        lines = [line.split() for line in told.splitlines()]
        files |= dict.fromkeys(Path(line[1]) for line in lines if line[0] == "insmod")
    for number, file in enumerate(files):
        # The shell takes them in the order of their names.
        packed = tree / "modules" / f"{number:02}-{file.name}"
        shutil.copy(file, packed)
        if packed.suffix == ".xz":
            must(["xz", "-d", packed])
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    cpio = find("cpio")
    assert cpio is not None
    archive = subprocess.run(
        [cpio, "--quiet", "-o", "-H", "newc", "-R", "0:0"],
        cwd=tree,
        input=names.encode(),
        capture_output=True,
        check=True,
    )
    initrd.write_bytes(gzip.compress(archive.stdout, 1))


def boot(guest: Path, things: Mapping[str, Path], folder: Path) -> Path:
    """Boot the guest, let it do everything, and return the folder of what came of it.

    Args: guest: `prepare()`; things: what it finds in /tmp/in, by path there; folder: an empty one.
    Raises: LabError: it did not come to its end.
    """
    incoming, outgoing, out = folder / "in.tar", folder / "out.tar", folder / "out"
    with tarfile.open(incoming, "w") as archive:
        for name, path in things.items():
            archive.add(path, name, filter=_without_caches)
    outgoing.touch()
    # A disk's size is a whole number of its sectors; tar's is one.
    with outgoing.open("r+b") as file:
        file.truncate(OUT_BYTES)
    said = folder / "console"
    slept_ns, is_late = _run(command(guest, incoming, outgoing, said))
    try:
        with tarfile.open(outgoing) as archive:
            archive.extractall(out, filter="data")
    except tarfile.TarError:
        out.mkdir(exist_ok=True)
    ended = out / "ended"
    if not ended.exists() or ended.read_text().strip() != "0":
        lines = said.read_text(errors="replace").splitlines()[-15:]
        why = f"it was ended after {LIMIT_S} s" if is_late else "it ended early"
        raise LabError("\n".join([f"the guest did not do all: {why}", *lines]))
    (out / "slept.json").write_text(json.dumps(slept_ns))
    return out


def _run(line: Sequence[str]) -> tuple[list[int], bool]:
    """Run the emulator until it ends; return how long the guest slept, and whether it was ended."""
    late = threading.Event()

    def end() -> None:
        late.set()
        emulator.kill()

    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as emulator:
        timer = threading.Timer(LIMIT_S, end)
        timer.start()
        try:
            slept_ns = _tend(emulator)
        finally:
            timer.cancel()
            emulator.kill()
    return slept_ns, late.is_set()


def _tend(emulator: subprocess.Popen[str]) -> list[int]:
    """Wake the guest some time after it fell asleep, until it ends; return how long each took.

    The emulator speaks QMP (https://www.qemu.org/docs/master/interop/qmp-spec.html): JSON, a line
    each. Its clock that would wake the guest by itself does not always do so.
    """
    ears, mouth = emulator.stdin, emulator.stdout
    assert ears is not None
    assert mouth is not None

    def say(command: str) -> None:
        ears.write(json.dumps({"execute": command}) + "\n")
        ears.flush()

    slept_ns: list[int] = []
    since_ns = 0
    say("qmp_capabilities")
    for line in mouth:
        event = json.loads(line).get("event")
        if event == "SUSPEND":
            since_ns = time.monotonic_ns()
            time.sleep(SLEEP_S)
            say("system_wakeup")
        elif event == "WAKEUP":
            slept_ns.append(time.monotonic_ns() - since_ns)
    return slept_ns


def command(guest: Path, incoming: Path, outgoing: Path, console: Path) -> list[str]:
    """Return the emulator's command line. It writes nothing but `outgoing` and `console`."""
    disks = [
        f"file={guest / 'root.img'},snapshot=on",
        f"file={incoming},readonly=on",
        f"file={outgoing}",
    ]
    return [
        *("nice", "-n", "19", find(EMULATOR) or EMULATOR),
        *("-machine", "q35", "-cpu", "max", "-accel", "tcg,thread=multi"),
        *("-smp", "2", "-m", "1536", "-nodefaults", "-nographic", "-no-reboot"),
        *("-kernel", str(guest / "kernel"), "-initrd", str(guest / "initrd")),
        *("-append", "console=ttyS0 quiet panic=-1", "-qmp", "stdio"),
        *("-serial", f"file:{console}"),
        *(word for disk in disks for word in ("-drive", f"if=virtio,format=raw,{disk}")),
    ]


def missing() -> Sequence[str]:
    """Return what this machine lacks to play the guest, in a sentence each."""
    return roots.not_installed(TOOLS)


def _without_caches(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info
