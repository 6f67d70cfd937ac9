from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converters.mobilenet_v2.ablations import setting
from converters.mobilenet_v2.ablations.results import FILE, Results, read_results
from converters.mobilenet_v2.cli import main
from converters.mobilenet_v2.explore.ablations_chapter import chapter
from tests.converters.mobilenet_v2.ablations.test_results import DIGITS, PICTURES, a_run

MACHINE = {"date": "2026-01-02T03:04:05", "board": {"cpu": "a"}, "versions": {"torch": "1"}}


def with_rights(**of_name: int) -> Results:
    """Return results in which each network names as many pictures of every digit as is said."""
    rights = {name: of_name.get(name.split()[0], 18) for name in setting.ABLATIONS}
    runs = [
        a_run(name, seed, [right] * DIGITS) for name, right in rights.items() for seed in (1, 2, 3)
    ]
    return Results(setting.described(), MACHINE, PICTURES, tuple(runs))


def test_the_command_shows_what_is_committed_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", "--only", "ablations", "-o", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["ablations"]
    intro = found["findings"][0]
    assert intro.startswith("These are committed results")
    assert "python -m converters.mobilenet_v2.ablations.train trains them again" in intro
    page = (tmp_path / "explore.html").read_text()
    assert page.count("<figure>") == page.count("<details") == 2
    assert page.count("Made by: edge-mobilenet explore --only ablations") == 2
    data = json.loads(FILE.read_text())
    names = [network["name"] for network in found["networks"]]
    assert names == list(dict.fromkeys(run["name"] for run in data["runs"]))
    for network in found["networks"]:
        rights = [run["right"] for run in data["runs"] if run["name"] == network["name"]]
        mean = 100 * np.mean(rights) / data["pictures"]
        assert 100 * network["mean"] == pytest.approx(mean)
        assert f"{network['name']} {mean:.1f} %" in page


@pytest.mark.parametrize(
    ("bent", "verdict"),
    [
        (16, "it holds here: ReLU6 bottleneck names 80.0 %"),
        (19, "here it is the other way round: ReLU6 bottleneck names 95.0 %"),
        (18, "here that cannot be told from chance: ReLU6 bottleneck names 90.0 %"),
    ],
)
def test_whether_a_claim_holds_follows_from_the_numbers(bent: int, verdict: str) -> None:
    claim = chapter(with_rights(ReLU6=bent)).findings[1]
    assert "(figure 6a)" in claim
    assert verdict in claim
    assert f"{5 * (bent - 18):+.1f} points" in claim
    assert ("which is not apart" in claim) == (bent == 18)


def test_the_chapter_has_each_network_and_what_it_costs() -> None:
    found = chapter(read_results())
    in_float, in_int8 = found.tables
    assert [row[0] for row in in_float.rows] == list(setting.ABLATIONS)
    assert [row[0] for row in in_int8.rows] == list(setting.ABLATIONS)
    for row in in_float.rows:
        assert row[1] == f"{setting.ABLATIONS[row[0]].parameters():,}"
        assert row[3].count(",") == len(setting.SEEDS) - 1
    assert "against 6, expansion 1 names" in found.findings[3]
