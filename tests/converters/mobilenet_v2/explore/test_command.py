from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import onnx
import pytest

from converters.mobilenet_v2.cli import main
from converters.mobilenet_v2.explore.experiments import EXPERIMENTS
from converters.mobilenet_v2.explore.flags import NAMES
from converters.pipeline import Conversion
from tests.converters.mobilenet_v2.explore.networks import network


def explore(out: Path, *more: str) -> int:
    return main(["explore", "--only", "relu", "-o", str(out), *more])


def test_the_page_and_a_picture_for_each_figure_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    assert explore(out) == 0
    said = capsys.readouterr().out
    assert said.startswith("ReLU on a low-dimensional manifold\n- Lost for good")
    page = (out / "explore.html").read_text()
    assert page.count("<figure>") == page.count('role="img"') == 3
    assert page.count("<details") == 1
    assert page.count("Made by: edge-mobilenet explore --only relu") == 3
    assert re.findall(r"(?:src|srcset|action)\s*=", page) == []
    for name in ("relu_spiral", "relu_error", "relu_lost"):
        assert f"wrote {out / name}.png" in said
        picture = cv2.imread(str(out / f"{name}.png"))
        assert picture is not None
        assert picture.shape[1] == 726  # 3.3 inches


def test_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for number in ("0", "1"):
        assert explore(tmp_path / number, "--json", "--seed", "5") == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert json.loads(said[0])["relu"]["rows"][0]["dimensions"] == 2
    pages = [(tmp_path / number / "explore.html").read_bytes() for number in "01"]
    assert pages[0] == pages[1]
    assert b"--seed 5 --only relu" in pages[0]


def test_a_model_of_ones_own_is_explored(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "net.onnx"
    onnx.save(network(), model)
    given = ["explore", str(model), "--images", str(pictures), "-o", str(tmp_path / "out")]
    flags = ["--samples", "8", "--preprocess", "unit", "--resize", "none", "--json"]
    assert main([*given, *flags, "--only", "int8,units"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["units", "int8"]
    assert found["units"]["pictures"] == "4 images held out of calibration"
    page = (tmp_path / "out" / "explore.html").read_text()
    assert page.count('role="img"') == page.count("<figure>") == 6
    words = f"{model} --images {pictures} --samples 8 --preprocess unit --resize none --only int8"
    assert words in page


def test_what_is_assumed_is_said(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["explore", str(model_file), "-o", str(tmp_path), "--samples", "4", "--only", "int8"]
    assert main(given) == 0
    notes = capsys.readouterr().err.splitlines()
    assert [note for note in notes if "--preprocess imagenet is assumed" in note]
    assert [note for note in notes if "no pictures were given" in note]


@pytest.mark.parametrize(
    ("name", "message"), [("none.onnx", "none.onnx"), ("int8.onnx", "it is already quantized")]
)
def test_what_cannot_be_explored_is_one_sentence(
    name: str,
    message: str,
    conversion: Conversion,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "int8.onnx").write_bytes(conversion.artifacts["onnx"])
    out = tmp_path / "out"
    assert main(["explore", str(tmp_path / name), "-o", str(out), "--only", "units"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("edge-mobilenet: error: ")
    assert message in said
    assert not out.exists()


def test_a_failed_run_leaves_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "explore.html").mkdir()
    (tmp_path / "relu_lost.png").write_text("mine")
    assert explore(tmp_path) == 2
    assert capsys.readouterr().err.startswith("edge-mobilenet: error: ")
    assert (tmp_path / "relu_lost.png").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["explore.html", "relu_lost.png"]


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")
    assert explore(tmp_path / "taken") == 2
    said = capsys.readouterr().err
    assert said == f"edge-mobilenet: error: {tmp_path / 'taken'}: Not a directory\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only", "relu,magic"], "allowed: some of relu"),
        (["--seed", "-1"], "allowed: 0 to"),
        (["--samples", "0"], "allowed: 1 to"),
    ],
)
def test_what_cannot_be_asked_is_said(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        explore(tmp_path, *flags)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_command_knows_every_experiment() -> None:
    assert tuple(EXPERIMENTS) == NAMES
