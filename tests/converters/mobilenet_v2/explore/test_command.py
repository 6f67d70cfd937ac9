from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import pytest

from converters.mobilenet_v2.cli import main
from converters.mobilenet_v2.explore.experiments import EXPERIMENTS
from converters.mobilenet_v2.explore.flags import NAMES


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
    for number, seed in enumerate(("5", "5", "6")):
        assert explore(tmp_path / str(number), "--json", "--seed", seed) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != said[2]
    assert json.loads(said[0])["relu"]["rows"][0]["dimensions"] == 2
    pages = [(tmp_path / number / "explore.html").read_bytes() for number in "012"]
    assert pages[0] == pages[1] != pages[2]
    assert b"--seed 5 --only relu" in pages[0]


def test_a_failed_run_leaves_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "explore.html").mkdir()
    (tmp_path / "relu_lost.png").write_text("mine")
    assert explore(tmp_path) == 2
    assert capsys.readouterr().err.startswith("edge-mobilenet: error: ")
    assert (tmp_path / "relu_lost.png").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["explore.html", "relu_lost.png"]


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
