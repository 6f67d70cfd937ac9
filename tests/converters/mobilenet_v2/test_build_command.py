"""`edge-mobilenet build` as a user types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from converters.cli import main as convert
from converters.mobilenet_v2.architecture import Architecture
from converters.mobilenet_v2.cli import main
from edge.card import CARD_KEY, ModelCard
from edge.preprocess import PRESETS
from edge.tensors import Array
from tests.converters.mobilenet_v2.test_build import run
from tests.converters.mobilenet_v2.weights.sources import (
    keras_named,
    save_npz,
    stirred,
    torchvision,
)

SMALL = ("--width", "0.1", "--resolution", "32", "--classes", "3")


def built(folder: Path, *argv: str) -> onnx.ModelProto:
    out = folder / "built.onnx"
    assert main(["build", "-o", str(out), *argv]) == 0
    return onnx.load(out)


def card_of(model: onnx.ModelProto) -> ModelCard:
    [card] = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    return ModelCard.from_json(card)


def arrays_of(model: onnx.ModelProto) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def shape_of(model: onnx.ModelProto) -> list[int | str]:
    sides = model.graph.input[0].type.tensor_type.shape.dim
    return [side.dim_param or side.dim_value for side in sides]


def test_untrained_weights_follow_the_seed_and_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = built(tmp_path, *SMALL), built(tmp_path, *SMALL)
    said = capsys.readouterr()
    assert "weights: untrained: the network guesses until it has been trained" in said.out
    assert said.err.count("warning: the weights are untrained") == 2
    assert first == again
    other = built(tmp_path, *SMALL, "--seed", "1")
    name = "head.weight"
    assert not np.array_equal(arrays_of(first)[name], arrays_of(other)[name])


def test_the_network_is_what_is_asked_for(tmp_path: Path) -> None:
    options = ("--width", "0.25", "--resolution", "48x64", "--classes", "7", "--expansion", "2")
    model = built(tmp_path, *options, "--batch", "free", "--color", "gray")
    assert shape_of(model) == ["batch", 1, 48, 64]
    expected = Architecture(0.25, (48, 64), 7, channels=1, expansion=2).weight_shapes()
    arrays = arrays_of(model)
    assert {name: arrays[name].shape for name in expected} == expected
    operators = [node.op_type for node in model.graph.node]
    # One shortcut more than at width 1: 8 channels come into the first block, and 8 go out.
    assert (operators.count("Clip"), operators.count("Add")) == (35, 11)
    ablated = built(
        tmp_path, *SMALL, "--activation", "relu", "--no-shortcut", "--bottleneck", "relu"
    )
    operators = [node.op_type for node in ablated.graph.node]
    assert (operators.count("Relu"), operators.count("Clip"), operators.count("Add")) == (52, 0, 0)
    images = np.ones((1, 3, 32, 32), np.float32)
    assert np.isfinite(run(ablated, images)).all()


@pytest.mark.parametrize("padding", ["tensorflow", "pytorch"])
def test_padding_and_epsilon(tmp_path: Path, padding: str) -> None:
    model = built(tmp_path, *SMALL, "--padding", padding, "--epsilon", "0.002")
    nodes = {node.name: node for node in model.graph.node}
    pads = next(a.ints for a in nodes["stem.conv"].attribute if a.name == "pads")
    assert list(pads) == ([0, 0, 1, 1] if padding == "tensorflow" else [1, 1, 1, 1])
    [epsilon] = [a.f for a in nodes["stem.norm"].attribute if a.name == "epsilon"]
    assert epsilon == pytest.approx(0.002)


def test_weights_and_card_go_in_and_the_rest_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = stirred()
    path = save_npz(tmp_path / "w.npz", torchvision(weights))
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\ne\n")
    options = ("--weights", str(path), "--labels", str(labels), "--resolution", "56")
    model = built(tmp_path, *options)
    arrays = arrays_of(model)
    for name, array in weights.items():
        np.testing.assert_array_equal(arrays[name], array)
    card = card_of(model)
    assert card.labels == tuple("abcde")
    assert (card.name, card.preprocess.mean) == ("built", PRESETS["imagenet"].mean)
    assert card.preprocess.resize == 64  # 56 of 64, as 224 of 256
    said = capsys.readouterr().out
    assert "weights: 262 arrays of" in said
    assert "names of torchvision" in said
    assert "not read: 52 counters of training steps" in said
    built(tmp_path, *options, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["weights"]["not_read"] == {"counters of training steps": 52}
    assert found["weights"]["trained"] is True
    assert (found["architecture"]["width"], found["labels"]) == (0.35, 5)


def test_flags_of_the_picture_win_over_the_family(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "w.npz", keras_named(stirred()))
    options = ("--weights", str(path), "--resolution", "32")
    assert card_of(built(tmp_path, *options)).preprocess.mean == (0.5,)
    spec = card_of(
        built(tmp_path, *options, "--preprocess", "unit", "--resize", "40", "--std", "0.2")
    ).preprocess
    assert (spec.mean, spec.std, spec.resize) == ((0.0,), (0.2,), 40)


def test_the_classes_are_the_labels_where_nothing_else_says(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("one\ntwo\n")
    model = built(tmp_path, "--width", "0.1", "--resolution", "32", "--labels", str(labels))
    assert arrays_of(model)["classifier.bias"].shape == (2,)
    assert main(["build", "-o", str(tmp_path / "a.onnx"), *SMALL, "--labels", str(labels)]) == 2


def test_a_new_classifier_is_said_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {n: a for n, a in torchvision(stirred()).items() if not n.startswith("classifier")}
    path = save_npz(tmp_path / "w.npz", arrays)
    built(tmp_path, "--weights", str(path), "--resolution", "32", "--classes", "4", "--json")
    said = capsys.readouterr()
    assert "warning: the weights have no classifier: a new one was made, untrained" in said.err
    assert json.loads(said.out)["weights"]["classifier"] == "untrained"


@pytest.mark.parametrize(
    "argv",
    [
        ("--weights", "missing.npz"),
        ("--weights", "bad.npz"),
        ("--weights", "good.npz", "--classes", "9"),
        ("--labels", "missing.txt"),
        ("--labels", "bad.npz"),
        ("--width", "16"),
        ("--classes", "1000000"),
        ("--weights", "hf://nobody"),
        ("--mean", "1,2"),
    ],
)
def test_what_fails_is_one_sentence_and_leaves_the_file_that_was_there(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 and no more")
    save_npz(tmp_path / "good.npz", torchvision(stirred()))
    (tmp_path / "built.onnx").write_bytes(b"before")
    before = sorted(tmp_path.iterdir())
    assert main(["build", "-o", "built.onnx", *argv]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"edge-mobilenet: error: .+\n", said.err)
    assert (tmp_path / "built.onnx").read_bytes() == b"before"
    assert sorted(tmp_path.iterdir()) == before


def test_the_weights_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_npz(tmp_path / "w.npz", torchvision(stirred()))
    data = path.read_bytes()
    assert main(["build", "--weights", str(path), "-o", str(path)]) == 2
    assert "holds the weights, and is not written over" in capsys.readouterr().err
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "argv",
    [
        ("--resolution", "0"),
        ("--resolution", "224x"),
        ("--resolution", "4097"),
        ("--resolution", "٣٢"),
        ("--width", "0"),
        ("--width", "nan"),
        ("--classes", "0"),
        ("--expansion", "0"),
        ("--activation", "gelu"),
        ("--batch", "2"),
    ],
)
def test_values_out_of_range_are_refused(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["build", *argv])
    assert stopped.value.code == 2
    assert f"argument {argv[0]}: " in capsys.readouterr().err


def test_the_default_name_tells_width_and_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["build", *SMALL]) == 0
    assert main(["build", "--width", "0.1", "--resolution", "32x48"]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["mobilenet_v2_0.1_32.onnx", "mobilenet_v2_0.1_32x48.onnx"]


def test_what_is_built_converts_and_is_described(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_npz(tmp_path / "w.npz", keras_named(stirred()))
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\ne\n")
    model = tmp_path / "model.onnx"
    argv = ["build", "--weights", str(path), "--labels", str(labels), "--resolution", "32"]
    assert main([*argv, "-o", str(model)]) == 0
    assert main(["describe", str(model)]) == 0
    assert "MobileNetV2 0.35, as in the paper's table 2" in capsys.readouterr().out
    assert convert(["--int8", str(model), "--samples", "4", "--optimize", "none"]) == 0
    card = json.loads((tmp_path / "model.int8.json").read_text())["card"]
    assert card["labels"] == ["a", "b", "c", "d", "e"]
    assert card["preprocess"]["mean"] == [0.5]
