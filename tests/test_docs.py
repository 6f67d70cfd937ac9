"""What the pages under docs/ show is what the commands beside it give."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.mobilenet_v2.architecture import Architecture
from converters.mobilenet_v2.build import build, initial_weights
from converters.mobilenet_v2.cli import parser
from converters.mobilenet_v2.explore.relu import DIMENSIONS, MATRICES, spiral, there_and_back
from converters.structure.describe import describe, to_text
from converters.structure.read import read_network
from tests.markdown import fenced

DOCS = Path(__file__).parent.parent / "docs"
TOUR = (DOCS / "mobilenet_v2.md").read_text()


def words(line: str) -> str:
    return " ".join(line.split())


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    text = page.read_text()
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        assert (page.parent / file).exists() if file else anchor in anchors, target


def test_the_commands_of_the_tour_are_understood() -> None:
    lines = [line for line in fenced(TOUR) if line]
    assert len(lines) >= 6
    for line in lines:
        command, *args = shlex.split(line)
        assert command == "edge-mobilenet"
        parser().parse_args(args)


def test_the_tables_of_the_tour_are_those_of_describe(tmp_path: Path) -> None:
    architecture = Architecture()
    path = tmp_path / "model.onnx"
    onnx.save(build(architecture, initial_weights(architecture, 0)), path)
    described = {words(line) for line in to_text(describe(read_network(path), "")).splitlines()}
    shown = [line for line in fenced(TOUR, "text") if line]
    assert len(shown) >= 20
    assert [line for line in shown if words(line) not in described] == []


def test_the_work_of_each_width_and_resolution() -> None:
    head, *rows = re.findall(r"^\| (width|\d.*?) \| (.*?) \|$", TOUR, re.MULTILINE)
    sides = [int(side) for side in head[1].split(" | ")[1:]]
    assert len(rows) == 5
    for width, cells in rows:
        parameters, *millions = cells.split(" | ")
        networks = [Architecture(float(width), (side, side)) for side in sides]
        assert parameters == f"{networks[0].parameters() / 1e6:.2f} M"
        assert millions == [f"{network.multiply_adds() / 1e6:.0f}" for network in networks]


def test_what_relu_loses_of_the_spiral() -> None:
    points = spiral(1000)
    lost = {}
    for n in DIMENSIONS:
        random = np.random.default_rng((0, n))
        trips = [there_and_back(random.normal(size=(n, 2)), points) for _ in range(MATRICES)]
        lost[n] = 100 * np.mean([trip.lost.mean() for trip in trips])
    said = ", ".join(f"{share:.1g}" if share < 1 else f"{share:.0f}" for share in lost.values())
    first, last = said.rsplit(", ", 1)
    assert f"{first} and {last} per cent" in TOUR
