from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from calibration.synthetic import dead_leaves
from converters.cli import main
from converters.mobilenet_v2.architecture import Architecture
from converters.mobilenet_v2.build import build as build_mobilenet
from converters.mobilenet_v2.build import initial_weights
from edge.backends import open_model
from edge.tensors import F32
from tests.converters.models import build, normal

KINDS = ("html", "json", "onnx", "tflite")


def outputs(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_one_argument_is_enough(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(model_file.read_bytes())
    assert main(["--int8", str(model)]) == 0
    assert outputs(tmp_path) == {"net.onnx", *(f"net.int8.{kind}" for kind in KINDS)}
    out, err = capsys.readouterr()
    assert "int8 TFLite" in out
    assert "synthetic" in out
    assert "imagenet is assumed" in err


def test_a_file_may_have_any_name(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, written = "tab\tbell\a two\nlines left\u202e", "tab_bell_ two_lines left_"
    model = tmp_path / f"{name}.onnx"
    model.write_bytes(model_file.read_bytes())
    assert main(["--int8", str(model), "--samples", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["name"] == written
    assert outputs(tmp_path) == {f"{name}.onnx", *(f"{name}.int8.{kind}" for kind in KINDS)}
    for kind in ("onnx", "tflite"):
        card = open_model(tmp_path / f"{name}.int8.{kind}").spec.card
        assert card is not None
        assert card.name == written


def test_json_says_what_was_written_and_how_good_it_is(
    model_file: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--int8", str(model_file), "-o", str(tmp_path / "new" / "out"), "--json"]
    flags = ["--preprocess", "tf", "--resize", "none", "--samples", "4", "--formats", "tflite"]
    assert main([*args, *flags, "--calibration", str(pictures), "--evaluate", str(pictures)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["files"] == ["net.int8.tflite", "net.int8.json", "net.int8.html"]
    assert set(data["verification"]["scores"]) == {"float", "tflite"}
    assert data["verification"]["scores"]["tflite"]["images"] == 12
    assert data == json.loads((tmp_path / "new" / "out" / "net.int8.json").read_text())


@pytest.mark.parametrize(
    ("flags", "words"), [([], "weights per channel"), (["--per-tensor"], "weights per tensor")]
)
def test_what_a_scale_is_for_stands_in_every_card(
    model_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    words: str,
) -> None:
    asked = ["--int8", str(model_file), "-o", str(tmp_path), "--samples", "4", "--json", *flags]
    assert main(asked) == 0
    data = json.loads(capsys.readouterr().out)
    cards = [open_model(tmp_path / f"net.int8.{kind}").spec.card for kind in ("onnx", "tflite")]
    schemes = [card.quantization["scheme"] for card in cards if card is not None]
    for scheme in (data["card"]["quantization"]["scheme"], *schemes):
        assert words in scheme
    assert len(schemes) == 2
    html = (tmp_path / "net.int8.html").read_text()
    assert ("weights per tensor" in html.lower()) == bool(flags)


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_without_quantization(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main([f"--{kind}", str(model_file), "-o", str(tmp_path)]) == 0
    assert outputs(tmp_path) == {f"net.{kind}.{end}" for end in ("html", "json", "tflite")}
    out, _ = capsys.readouterr()
    assert f"{kind} TFLite" in out
    assert "calibrat" not in out


def refusal(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused and return its one message."""
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("edge-convert: note:")]
    assert lines[0].startswith("edge-convert: error: ")
    assert "Traceback" not in err
    return "\n".join(lines)


def _conv_model(path: Path, op: str = "Sin") -> Path:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "first"),
        helper.make_node(op, ["a"], ["b"], "second"),
        helper.make_node("NonZero", ["b"], ["y"], "third"),
    ]
    graph = helper.make_graph(
        nodes,
        "bad",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_bad_models_are_refused_in_one_sentence(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truncated = tmp_path / "truncated.onnx"
    truncated.write_bytes(model_file.read_bytes()[:5000])
    text = tmp_path / "text.onnx"
    text.write_text("this is not a model\n")
    cases = {
        str(tmp_path / "missing.onnx"): "No such file",
        str(tmp_path): "Is a directory",
        str(truncated): "not an ONNX file, or a truncated one",
        str(text): "not an ONNX file",
    }
    for path, expected in cases.items():
        assert expected in refusal(["--int8", path], capsys)


def test_all_refusals_come_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(["--int8", str(_conv_model(tmp_path / "bad.onnx"))], capsys)
    assert "2 nodes cannot be converted" in message
    assert "second (Sin)" in message
    assert "third (NonZero)" in message


def test_bad_calibration_sets_are_refused(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    broken.mkdir()
    (broken / "a.jpg").write_bytes(b"\xff\xd8\xff garbage")
    cases = {str(empty): "no image in it", str(broken): "not one of its 1 images can be read"}
    cases[str(tmp_path / "nowhere")] = "no such file or folder"
    for folder, expected in cases.items():
        args = ["--int8", str(model_file), "-o", str(tmp_path / "out"), "--calibration", folder]
        assert expected in refusal(args, capsys)
    assert not (tmp_path / "out").exists()


def test_broken_images_among_good_ones_are_counted(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for name in ("a.png", "b.png", "c.png"):
        assert cv2.imwrite(str(folder / name), noise)
    (folder / "b.png").write_bytes(b"no picture")
    args = ["--int8", str(model_file), "-o", str(tmp_path), "--calibration", str(folder), "--json"]
    assert main([*args, "--preprocess", "tf"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["skipped_images"] == ["b.png"]
    assert data["ranges"]["samples"] == 2


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--max-drop", "1"], "--max-drop needs --evaluate"),
        (["--max-drop", "nan", "--evaluate", "x"], "--max-drop nan"),
        (["--min-sqnr", "inf"], "--min-sqnr inf; allowed: decibels"),
        (["--samples", "0"], "--samples 0"),
        (["--color", "gray"], "the model's input has 3 channel(s)"),
        (["--mean", "1,2"], "mean [1.0, 2.0]"),
        (["--std", "0"], "std [0.0]"),
        (["--float16", "--formats", "onnx,tflite"], "--float16 writes TFLite alone"),
        (["--float16", "--per-tensor"], "--per-tensor is about the scales of int8 weights"),
        (["--float32", "--per-tensor"], "with --float32 there are none"),
    ],
)
def test_flags_that_make_no_sense_are_refused(
    model_file: Path, capsys: pytest.CaptureFixture[str], flags: list[str], expected: str
) -> None:
    assert expected in refusal([str(model_file), *flags], capsys)


@pytest.mark.parametrize(
    "flags",
    [["--formats", "h5"], ["--resize", "x"], ["--mean", "a"], ["--int8", "--float32"], []],
)
def test_usage_errors_exit_with_2(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["model.onnx", *flags] if flags else [])
    assert stopped.value.code == 2


def test_a_gate_that_is_not_met_exits_with_3_and_writes_nothing(
    model_file: Path,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Quantizing to ranges far too narrow makes an artifact that is wrong about everything.
    from calibration import observers
    from calibration.histogram import StreamingHistogram

    def narrow(histogram: StreamingHistogram) -> observers.Range:
        whole = observers.min_max(histogram)
        return observers.Range(whole.low / 1000, whole.high / 1000)

    monkeypatch.setitem(observers.RULES, "mse", narrow)
    # The truth is what float says, so that float is always right.
    from converters.request import Request
    from converters.source import read_source

    out = tmp_path / "out"
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    _label_as_float(model_file, pictures, labelled)
    args = ["--int8", str(model_file), "-o", str(out), "--calibration", str(pictures)]
    flags = ["--preprocess", "tf", "--evaluate", str(labelled), "--max-drop", "1"]
    flags += ["--optimize", "none"]  # else layers become float until it is met
    assert main([*args, *flags]) == 3
    assert "points of top-1 below float" in capsys.readouterr().err
    assert not out.exists()
    assert read_source(Request(model_file, out)).graph  # the model itself is fine


def _label_as_float(model: Path, pictures: Path, folder: Path) -> None:
    from calibration.dataset import open_images
    from edge.backends import open_model
    from edge.preprocess import PRESETS, Preprocessor

    backend = open_model(model)
    preprocessor = Preprocessor(PRESETS["tf"], backend.spec.input)
    rows = ["file,class"]
    for picture in open_images(str(pictures)):
        assert not isinstance(picture, np.ndarray)
        preprocessor.run(picture.pixels, picture.color, backend.input_view())
        rows.append(f"{picture.name},{int(backend.run().argmax())}")
        (folder / picture.name).write_bytes((pictures / picture.name).read_bytes())
    (folder / "labels.csv").write_text("\n".join(rows))


def _with_a_copy(pictures: Path, folder: Path) -> Path:
    """Return a folder of the same pictures, one of them twice, without labels."""
    folder.mkdir()
    for path in pictures.glob("*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "copy.png").write_bytes((pictures / "03.png").read_bytes())
    (folder / "labels.csv").write_text((pictures / "labels.csv").read_text() + "\ncopy.png,3")
    return folder


def test_a_fault_of_the_calibration_set_is_a_warning(
    model_file: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = _with_a_copy(pictures, tmp_path / "twice")
    args = ["--int8", str(model_file), "-o", str(tmp_path), "--preprocess", "tf", "--json"]
    assert main([*args, "--calibration", str(twice)]) == 0
    out, err = capsys.readouterr()
    assert err.count("edge-convert: warning: ") == 1
    assert "copy.png = 03.png" in err
    found = json.loads(out)["calibration_lint"]
    assert [finding["code"] for finding in found["findings"]] == ["duplicates"]
    assert found["findings"][0]["severity"] == "warning"
    assert set(found["passed"]) == {"values", "too-few", "one-class"}
    assert "copy.png = 03.png" in (tmp_path / "net.int8.html").read_text()


def test_strict_makes_it_an_error_that_destroys_nothing(
    model_file: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    args = ["--int8", str(model_file), "-o", str(out), "--preprocess", "tf", "--strict"]
    assert main([*args, "--calibration", str(pictures)]) == 0
    assert "warning" not in capsys.readouterr().err
    assert "calibration set" not in (out / "net.int8.html").read_text()
    before = {path: path.read_bytes() for path in out.iterdir()}
    twice = _with_a_copy(pictures, tmp_path / "twice")
    assert main([*args, "--calibration", str(twice)]) == 3
    text, err = capsys.readouterr()
    assert text == ""
    warning, error = err.splitlines()
    assert warning.startswith("edge-convert: warning: 1 of 13 calibration images")
    assert error.startswith(f"edge-convert: error: {twice}: the calibration set has faults (dup")
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_evaluating_on_what_was_calibrated_on_is_a_fault(
    model_file: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--int8", str(model_file), "-o", str(tmp_path), "--preprocess", "tf", "--strict"]
    folders = ["--calibration", str(pictures), "--evaluate", str(pictures)]
    assert main([*args, *folders]) == 3
    assert "12 of 12 evaluation images were calibrated on" in capsys.readouterr().err
    assert outputs(tmp_path) == set()


def test_a_preset_that_the_model_was_not_trained_with_is_found_without_any_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    architecture = Architecture(0.35, (32, 32), 5)
    weights = initial_weights(architecture, 0)
    # What the stem remembers of bytes scaled to [-1, 1]: its convolution, by OpenCV.
    rows: list[F32] = []
    for picture in dead_leaves(20, 32, 32, seed=21):
        planes = cv2.split(np.asarray(picture.pixels[:, :, ::-1], np.float32) / 127.5 - 1)
        made = [sum(map(cv2.filter2D, planes, (-1,) * 3, k)) for k in weights["stem.weight"]]
        rows.append(np.array(made, np.float32))
    values = np.stack(rows)
    weights["stem.mean"], weights["stem.var"] = values.mean((0, 2, 3)), values.var((0, 2, 3))
    path = tmp_path / "trained.onnx"
    onnx.save(build_mobilenet(architecture, weights), path)
    assert main(["--int8", str(path), "--strict"]) == 3
    err = capsys.readouterr().err
    assert "stem.norm, the first BatchNormalization" in err
    assert "(preset); change --preprocess tf" in err
    assert main(["--int8", str(path), "--strict", "--preprocess", "tf"]) == 0


def test_a_failed_run_leaves_what_was_there(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for kind in KINDS:
        (out / f"net.int8.{kind}").write_text("earlier")
    # One of the four places is taken by a folder: the last rename cannot work.
    (out / "net.int8.json").unlink()
    (out / "net.int8.json").mkdir()
    (out / "net.int8.json" / "inside").touch()
    message = refusal(["--int8", str(model_file), "-o", str(out)], capsys)
    assert "net.int8.json" in message
    assert outputs(out) == {f"net.int8.{kind}" for kind in KINDS}
    for kind in ("html", "onnx", "tflite"):
        assert (out / f"net.int8.{kind}").read_text() == "earlier", kind


def test_a_disk_that_takes_no_more_is_said(model_file: Path, tmp_path: Path) -> None:
    # The kernel lets no file grow beyond the limit, as it does not on a full disk.
    out = tmp_path / "out"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2); "
    args = ["--int8", str(model_file), "-o", str(out)]
    run = f"import sys; from converters.cli import main; sys.exit(main({args!r}))"
    done = subprocess.run(
        [sys.executable, "-c", limit + run], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert "model.int8.onnx" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_named(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    message = refusal(["--int8", str(model_file), "-o", str(tmp_path / "file" / "out")], capsys)
    assert str(tmp_path / "file") in message


def test_help_has_examples_and_needs_no_extra() -> None:
    blocked = "import sys; sys.modules['onnx'] = None; sys.modules['onnxruntime'] = None; "
    run = "from converters.cli import main; main(['--help'])"
    done = subprocess.run(
        [sys.executable, "-c", blocked + run],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert "edge-convert --int8 model.onnx" in done.stdout


def test_a_missing_package_names_its_extra(model_file: Path) -> None:
    blocked = "import sys; sys.modules['onnxruntime'] = None; "
    run = f"from converters.cli import main; sys.exit(main(['--int8', {str(model_file)!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", blocked + run], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "edge-deploy[convert]" in done.stderr
    assert "Traceback" not in done.stderr


def two_vectors(path: Path) -> Path:
    """A model of features, an embedding, and logits of five classes, in this order."""
    body = "c = Conv<pads=[1,1,1,1]>(x, w) features = Relu(c) p = GlobalAveragePool(features) "
    body += "embedding = Flatten(p) logits = Gemm(embedding, g)"
    names = ("features", "embedding", "logits")
    model = build(body, "float[1,3,16,16]", outputs=names, w=normal(8, 3, 3, 3), g=normal(8, 5))
    onnx.save(model, path)
    return path


def test_of_several_outputs_the_first_is_taken_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = two_vectors(tmp_path / "net.onnx")
    assert main(["--int8", str(model), "--samples", "2"]) == 0
    out, err = capsys.readouterr()
    assert "note: output 'embedding' [1, 8] is taken for the classes' scores; 'logits' [1," in err
    assert "--scores NAME takes another" in err
    assert "'embedding'; beside them:" in out
    assert "1x8x16x16" in out
    note = json.loads((tmp_path / "net.int8.json").read_text())["notes"][1]
    assert note in err


def test_labels_and_a_name_decide_which_output_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = two_vectors(tmp_path / "net.onnx")
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\ne\n")
    for flags in (["--labels", str(labels)], ["--scores", "logits"]):
        assert main([str(model), "--samples", "2", "--json", "--preprocess", "tf", *flags]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        data = json.loads(out)
        assert data["card"]["scores"] == "logits"
        others = data["verification"]["other_outputs"]
        assert [(o["name"], o["shape"]) for o in others] == [
            ("features", [1, 8, 16, 16]),
            ("embedding", [1, 8]),
        ]
        assert all(set(o["sqnr_db"]) == {"onnx", "tflite"} for o in others)


def test_a_name_that_is_none_of_the_outputs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = two_vectors(tmp_path / "net.onnx")
    listed = "'features' [1, 8, 16, 16], 'embedding' [1, 8], 'logits' [1, 5]"
    assert f"has no output 'x'; its outputs: {listed}" in refusal(
        [str(model), "--scores", "x"], capsys
    )
    message = refusal([str(model), "--scores", "features"], capsys)
    assert (
        f"output 'features' is not one number a class, [1, classes]; its outputs: {listed}"
        in message
    )
    assert outputs(tmp_path) == {"net.onnx"}


def test_a_model_of_scores_alone_is_silent_about_others(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(model_file), "-o", str(tmp_path), "--samples", "2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert "scores" not in data["card"]
    assert "other_outputs" not in data["verification"]
