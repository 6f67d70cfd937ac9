"""What the README tells a user to type is typed here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

from calibration.synthetic import dead_leaves
from converters.mobilenet_v2.architecture import Architecture
from converters.mobilenet_v2.build import build, initial_weights
from tests.converters.mobilenet_v2.weights.sources import torchvision
from tests.markdown import fenced

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
# A camera is not here: a folder of pictures is, and it ends by itself. Ports may be taken.
INSTEAD = {"live_classify.py": ["--source", "photos"], "--web ": ["--web", "0", "--metrics", "0"]}


def ours() -> list[str]:
    """Return the lines that run our own commands, in order."""
    return [line for line in fenced(README) if re.match(r"\S*/(edge-\w+|python device_)", line)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: model.onnx, weights, labels.txt, photos/, labelled/."""
    folder = tmp_path_factory.mktemp("user")
    architecture = Architecture(0.35, (32, 32), 3)
    onnx.save(build(architecture, initial_weights(architecture, 0)), folder / "model.onnx")
    weights = torchvision(initial_weights(architecture, 0))
    save_file(weights, folder / "mobilenet_v2.safetensors")
    (folder / "labels.txt").write_text("one\ntwo\nthree\n")
    (folder / "photos").mkdir()
    for index, picture in enumerate(dead_leaves(4, 48, 64)):
        assert cv2.imwrite(str(folder / "photos" / f"{index}.png"), np.asarray(picture.pixels))
    for label in ("one", "two"):
        (folder / "labelled" / label).mkdir(parents=True)
        (folder / "labelled" / label / "0.png").write_bytes((folder / "photos/0.png").read_bytes())
    return folder


def test_the_commands_of_the_readme_work_in_their_order(folder: Path) -> None:
    lines = ours()
    assert len(lines) == 13, lines
    for line in lines:
        command, *rest = shlex.split(line)
        args = [str(BIN / Path(command).name), *rest]
        if rest[0].startswith("device_scripts/"):
            args[1] = str(ROOT / rest[0])
        for name, more in INSTEAD.items():
            if name in line:
                args += more
        done = subprocess.run(args, cwd=folder, capture_output=True, text=True, check=False)
        # This machine may have faults of its own, which is no fault of the command.
        allowed = (0, 3) if "edge-doctor" in line else (0,)
        assert done.returncode in allowed, f"{line}\n{done.stderr}"
    for written in re.findall(r"\| `(model\.int8\.\w+)` \|", README):
        assert (folder / written).stat().st_size
    for page in ("run.html", "evaluation.html"):
        assert (folder / page).stat().st_size


def test_the_extras_of_the_readme_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"pip install '\.\[([\w,]+)\]'", README)
    assert named
    for extras in named:
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [line.split()[1] for line in fenced(README) if line.startswith("make ")]
    targets += re.findall(r"`make (\w+)`", README)
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_and_picture_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
