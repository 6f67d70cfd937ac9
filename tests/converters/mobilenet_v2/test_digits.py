"""The committed model reads held-out digits; a damaged one does not."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from calibration.labelled import LABELS_CSV
from converters.mobilenet_v2.digits import evaluate, samples
from converters.mobilenet_v2.digits.rendering import Plan, crops, frames, plain_frame
from converters.mobilenet_v2.digits.spec import (
    ARCHITECTURE,
    FIGURES,
    LABELS,
    MODEL,
    PREPROCESS,
    SIDE,
    Cropper,
)
from edge import files
from edge.card import CARD_KEY, ModelCard
from edge.sources.digit_cards import Digits, load_digits
from edge.tensors import F32, U8

pytest.importorskip("sklearn", reason="needs the demo extra")

CARDS = 100
# At the published rate of 97 % a hundred cards have fewer than 92 right once in 250 draws; this
# is one fixed draw, and int8 or another processor moves single cards only.
LEAST = 0.92


@pytest.fixture(scope="module")
def cards() -> list[tuple[U8, int]]:
    """A hundred held-out digits from all over the held-out forms, each on one card."""
    digits = load_digits("held-out")
    chosen = np.linspace(0, len(digits) - 1, CARDS).astype(int)
    return list(frames(Digits(digits.scans[chosen], digits.classes[chosen]), Plan(1, (99,))))


def edited(name: str, change: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> bytes:
    """Return the committed model with the rows of one of its weights in another order."""
    model = onnx.load(MODEL)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[change], name))
    data: bytes = model.SerializeToString()
    return data


def test_the_committed_model_reads_held_out_cards(cards: list[tuple[U8, int]]) -> None:
    assert evaluate.accuracy(MODEL.read_bytes(), cards) >= LEAST


def test_shuffled_classes_are_noticed(cards: list[tuple[U8, int]]) -> None:
    shuffled = edited("classifier.weight", np.roll(np.arange(10), 3))
    assert evaluate.accuracy(shuffled, cards) < 0.2


def test_a_wrong_normalization_is_noticed(
    cards: list[tuple[U8, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the device divided by 255 twice.
    monkeypatch.setattr(evaluate, "PREPROCESS", replace(PREPROCESS, std=(127.5,)))
    assert evaluate.accuracy(MODEL.read_bytes(), cards) < 0.5


def test_plain_digits_are_read() -> None:
    digits = load_digits("held-out")
    plain = [
        (plain_frame(scan), int(label))
        for scan, label in zip(digits.scans[:60], digits.classes[:60], strict=True)
    ]
    assert evaluate.accuracy(MODEL.read_bytes(), plain) >= 0.92


def test_the_committed_model_says_what_it_is() -> None:
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    card = ModelCard.from_json(stored[CARD_KEY])
    assert card.name == "digits"
    assert card.labels == LABELS
    assert card.preprocess == PREPROCESS
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert shapes == ARCHITECTURE.weight_shapes() | {"zero": (), "six": ()}


def test_the_figures_are_those_of_the_committed_model() -> None:
    figures = json.loads(FIGURES.read_text())
    assert figures["model_sha256"] == files.sha256(MODEL.read_bytes())
    assert figures["held_out_accuracy_on_cards"] >= 0.97
    assert figures["held_out_digits"] == len(load_digits("held-out"))
    assert figures["parameters"] == ARCHITECTURE.parameters()


def test_crops_are_what_the_device_sees() -> None:
    """Bytes kept for training, normalized, are the tensor that the model gets on the device."""
    digits = load_digits("training")
    two = Digits(digits.scans[:2], digits.classes[:2])
    seen: list[tuple[int, int]] = []
    plan = Plan(2, (1,), elastic=True)
    pictures, classes = crops(two, plan, 1, lambda done, total: seen.append((done, total)))
    assert pictures.shape == (4, 3, SIDE, SIDE)
    assert classes.tolist() == [0, 0, 1, 1]
    assert seen == [(4, 4)]
    frame, _ = next(frames(two, plan))
    np.testing.assert_array_equal(pictures[0], Cropper().crop(frame))
    tensor: F32 = np.empty((1, 3, SIDE, SIDE), np.float32)
    evaluate.preprocessor("input").run(frame, "bgr", tensor)
    np.testing.assert_allclose(tensor[0], pictures[0] / 127.5 - 1, atol=1e-6)


def test_elastic_bends_the_writing_but_leaves_it_where_it_is() -> None:
    digits = load_digits("training")
    one = Digits(digits.scans[:1], digits.classes[:1])
    straight, bent = (next(frames(one, Plan(1, (1,), elastic)))[0] for elastic in (False, True))
    changed = np.abs(straight.astype(int) - bent).max(2) > 40
    assert 0 < changed.mean() < 0.1


def test_a_picture_depends_on_its_digit_not_on_what_came_before() -> None:
    digits = load_digits("held-out")
    tail = Digits(digits.scans[2:3], digits.classes[2:3])
    head = Digits(digits.scans[:3], digits.classes[:3])
    *_, (last, label) = frames(head, Plan(1, (1,)))
    (again, label_again), *_ = frames(tail, Plan(1, (1,)), first=2)
    assert label == label_again
    np.testing.assert_array_equal(last, again)


def test_samples_are_pictures_with_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--out", str(tmp_path), "--calibration", "3", "--evaluation", "12"]
    assert samples.main(argv) == 0
    assert "3 pictures" in capsys.readouterr().out
    assert len(list((tmp_path / "calibration").glob("*.png"))) == 3
    with (tmp_path / "evaluation" / LABELS_CSV).open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 12
    assert {row["class"] for row in rows} <= set(LABELS)
    for row in rows:
        picture = cv2.imread(str(tmp_path / "evaluation" / row["file"]))
        assert picture is not None
        assert picture.shape == (240, 320, 3)


def test_fewer_samples_replace_more_and_leave_other_files(tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    mine = tmp_path / "calibration" / "mine.png"
    mine.write_bytes(b"mine")
    for count in (4, 2):
        argv = ["--out", str(tmp_path), "--calibration", str(count), "--evaluation", "1"]
        assert samples.main(argv) == 0
    kept = sorted(path.name for path in (tmp_path / "calibration").iterdir())
    assert kept == ["digit_00000.png", "digit_00001.png", "mine.png"]


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
def test_a_count_out_of_range_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert samples.main(["--out", str(tmp_path), option, "0"]) == 2
    assert "allowed: 1 to" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
