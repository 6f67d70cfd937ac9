from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.mobilenet_v2.ablations import setting
from converters.mobilenet_v2.ablations.pictures import Set, drawn
from converters.mobilenet_v2.ablations.results import Results, Run, read_results, to_json
from edge.sources.digit_cards import Digits, load_digits
from tests.converters.mobilenet_v2.ablations.test_results import a_run

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch


def few(count: int, per_digit: int) -> Set:
    digits = load_digits("training")
    some = Digits(digits.scans[:count], digits.classes[:count])
    return drawn(some, per_digit, (1,), setting.SIDE, setting.DRAWING)


def test_one_network_is_trained_converted_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from converters.mobilenet_v2.ablations.train import train_one

    monkeypatch.setattr(setting, "EPOCHS", 1)
    monkeypatch.setattr(setting, "CALIBRATION_PICTURES", 16)
    renders = setting.HELD_OUT_RENDERS
    training, held_out = few(64, 1), few(3, renders)
    run = train_one("no shortcut", 1, training, held_out)
    assert run.architecture["shortcut"] is False
    assert len(run.losses) == 1
    for right in (run.right, run.right_int8):
        assert len(right) == 3
        assert all(0 <= count <= renders for count in right)
    assert run.sqnr_db is not None
    assert run.sqnr_db > 5


def test_what_is_right_is_counted_digit_by_digit(tmp_path: Path) -> None:
    """Of a network that calls everything a 3."""
    from converters.mobilenet_v2.ablations.train import right_of_each
    from converters.mobilenet_v2.build import build, initial_weights

    network = setting.NETWORK
    weights = initial_weights(network, 0)
    weights["classifier.weight"][:] = 0
    weights["classifier.bias"][3] = 1
    path = tmp_path / "m.onnx"
    path.write_bytes(build(network, weights).SerializeToString())
    renders = setting.HELD_OUT_RENDERS
    pictures = np.zeros((2 * renders, 3, setting.SIDE, setting.SIDE), np.uint8)
    classes = np.array([3] * renders + [3] * 5 + [4] * (renders - 5))
    assert right_of_each(path, Set(pictures, classes)) == (renders, 5)


def test_runs_that_are_there_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from converters.mobilenet_v2.ablations import train

    monkeypatch.setattr(setting, "SEEDS", (1,))
    asked: list[str] = []

    def no_training(name: str, seed: int, _training: Set, _held_out: Set) -> Run:
        asked.append(name)
        return a_run(name, seed, [1, 2])

    monkeypatch.setattr(train, "train_one", no_training)
    monkeypatch.setattr(train, "pictures", lambda _part: few(2, 20))
    out = tmp_path / "r.json"
    begun = a_run("reference", 1, [3, 4])
    out.write_text(to_json(Results(setting.described(), {"date": "then"}, 20, (begun,))))
    assert train.main(["--out", str(out)]) == 0
    assert asked == [name for name in setting.ABLATIONS if name != "reference"]
    found = read_results(out)
    assert found.runs[0] == begun
    assert [run.name for run in found.runs] == list(setting.ABLATIONS)
    assert train.main(["--out", str(out)]) == 0
    assert len(asked) == len(setting.ABLATIONS) - 1
    assert "has all 6 runs of this setting" in capsys.readouterr().out
    # Of another setting they say nothing.
    monkeypatch.setattr(setting, "EPOCHS", 77)
    assert train.main(["--out", str(out)]) == 0
    assert asked[-len(setting.ABLATIONS) :] == list(setting.ABLATIONS)
    assert begun not in read_results(out).runs
