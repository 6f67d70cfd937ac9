from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.evaluation.cli import main
from edge.card import ModelCard
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import Array
from tests.calibration.evaluation.conftest import CLASSES, COLOURS, COUNT, NAMES, OTHER, WEIGHT
from tests.calibration.evaluation.models import model

UNIT = ["--preprocess", "unit", "--resize", "none"]


def run(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path, *args: str
) -> dict[str, Any]:
    """Return what the command says of some models, given by name, and other arguments."""
    given = [str(models / arg) if arg.endswith((".onnx", ".tflite")) else arg for arg in args]
    status = main([*given, "--images", str(pictures), "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    """Return the one sentence with which the command refuses."""
    assert main([str(arg) for arg in args]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def scores(weight: Array) -> Array:
    return np.asarray(COLOURS / 255 @ weight)


def log_softmax(logits: Array) -> Array:
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def centred(logits: Array) -> Array:
    return np.asarray(logits - logits.mean(axis=1, keepdims=True))


def test_every_figure_is_what_the_formulas_say(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path
) -> None:
    found = run(capsys, models, pictures, "--float", "float.onnx", "other.onnx", *UNIT)
    float_, other = found["models"]
    before, after = scores(WEIGHT), scores(OTHER)
    called = [values.argmax(axis=1) for values in (before, after)]
    right = [values == CLASSES for values in called]
    assert 0 < (called[0] != called[1]).sum() < COUNT / 2
    assert float_["top1"]["value"] == pytest.approx(right[0].mean())
    assert other["top1"]["value"] == pytest.approx(right[1].mean())
    assert other["top5"]["value"] == 1.0
    assert float_["against"] is None

    against = other["against"]
    assert against["top1"]["value"] == pytest.approx(right[1].mean() - right[0].mean())
    assert against["top1"]["low"] < against["top1"]["value"] < against["top1"]["high"]
    assert against["agreement"]["value"] == pytest.approx((called[0] == called[1]).mean())
    noise = ((centred(before) - centred(after)) ** 2).sum()
    assert against["sqnr_db"] == pytest.approx(
        10 * math.log10((centred(before) ** 2).sum() / noise), abs=1e-4
    )
    p, q = log_softmax(before), log_softmax(after)
    assert against["kl_nats"] == pytest.approx((np.exp(p) * (p - q)).sum(axis=1).mean(), abs=1e-6)
    for name, which in {
        "lost": right[0] & ~right[1],
        "gained": ~right[0] & right[1],
        "moved": ~right[0] & ~right[1] & (called[0] != called[1]),
    }.items():
        assert which.any(), name
        assert against[name] == [
            {
                "image": NAMES[i],
                "true": CLASSES[i],
                "before": called[0][i],
                "after": called[1][i],
            }
            for i in np.flatnonzero(which)
        ]


def test_a_model_against_itself_is_exact(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "copy.onnx").write_bytes((models / "float.onnx").read_bytes())
    args = ("float.onnx", str(tmp_path / "copy.onnx"), *UNIT)
    against = run(capsys, models, pictures, *args)["models"][1]["against"]
    assert (against["agreement"]["value"], against["kl_nats"]) == (1.0, 0.0)
    assert against["sqnr_db"] is None  # no noise at all: JSON has no infinity
    assert against["no_sqnr"] == ""
    assert (against["lost"], against["gained"], against["moved"]) == ([], [], [])


def test_probabilities_are_compared_as_such(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path
) -> None:
    args = ("--float", "float.onnx", "soft.onnx", "soft8.onnx", *UNIT)
    found = {one["name"]: one for one in run(capsys, models, pictures, *args)["models"]}
    kinds = [found[name]["scores"] for name in ("float.onnx", "soft.onnx", "soft8.onnx")]
    assert kinds == ["logits", "probabilities", "probabilities"]
    soft, soft8 = found["soft.onnx"]["against"], found["soft8.onnx"]["against"]
    # The same network: softmax of the logits is what it gives.
    assert soft["kl_nats"] == pytest.approx(0, abs=1e-9)
    assert 0 < soft8["kl_nats"] < 1e-4
    assert soft["sqnr_db"] is None
    assert "the scores of soft.onnx are taken for probabilities" in soft["no_sqnr"]


def test_quantized_onnx_has_exact_kernels_and_the_default_ones(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path
) -> None:
    found = run(capsys, models, pictures, "--float", "float.onnx", "qdq.onnx", *UNIT)["models"]
    # Between these Q and DQ no kernel computes with integers, so both are alike on any PC.
    kernels = [one["kernels"] for one in found]
    assert kernels == ["exact kernels", "exact and default kernels alike"]
    [alone] = run(capsys, models, pictures, "qdq.onnx", *UNIT)["models"]
    assert alone["kernels"] == "exact and default kernels alike"
    assert alone["against"] is None
    expected = np.clip(np.round(scores(WEIGHT).astype(np.float32) / 0.25), 0, 255) * 0.25
    assert found[1]["top1"]["value"] == (expected.argmax(axis=1) == CLASSES).mean()


def test_a_background_needs_the_offset(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path, tmp_path: Path
) -> None:
    files = ["--float", models / "float.onnx", models / "background.onnx"]
    said = refused(capsys, *files, "--images", pictures, *UNIT)
    assert "background.onnx has 4 classes where the images are of 3" in said
    assert "pass --class-offset 1" in said
    page = tmp_path / "e.html"
    args = ("--float", "float.onnx", "background.onnx", "--class-offset", "1", *UNIT)
    found = run(capsys, models, pictures, *args, "--html", str(page))
    float_, other = found["models"]
    assert (float_["class_offset"], other["class_offset"]) == (0, 1)
    assert other["top1"] == float_["top1"]
    # What the background has of the probability is no part of the others'.
    assert other["against"]["kl_nats"] == pytest.approx(0, abs=1e-9)
    [note] = found["notes"]
    assert note == f"{models / 'background.onnx'}: class 0 of the images is its score 1"
    assert f"{note}." in page.read_text()


def test_who_does_the_work_changes_nothing(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path, scheduler: str
) -> None:
    args = ("--float", "float.onnx", "other.onnx", "soft8.onnx", *UNIT)
    flags = ("", "--jobs 1", "--jobs 3", f"--scheduler {scheduler}")
    found = [run(capsys, models, pictures, *args, *more.split()) for more in flags]
    for one in found:
        for made in one["models"]:
            assert made.pop("inference_ms") > 0
    assert all(one == found[0] for one in found)


def test_paths_may_depend_on_where_we_are(
    capsys: pytest.CaptureFixture[str],
    models: Path,
    pictures: Path,
    scheduler: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(models)
    folder = Path("..", pictures.name) if pictures.parent == models.parent else pictures
    assert main(["float.onnx", "--images", str(folder), *UNIT, "--scheduler", scheduler]) == 0
    out, err = capsys.readouterr()
    assert f"{COUNT} labelled images" in out
    assert not err


def test_what_fails_elsewhere_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    models: Path,
    pictures: Path,
    scheduler: str,
) -> None:
    (tmp_path / "nan.onnx").write_bytes(model(WEIGHT * np.nan))
    files = ["--float", models / "float.onnx", tmp_path / "nan.onnx"]
    for flags in (["--jobs", "2"], ["--scheduler", scheduler]):
        said = refused(capsys, *files, "--images", pictures, *UNIT, *flags)
        assert "nan.onnx: the scores of 000.png are not finite" in said


def test_each_is_preprocessed_as_its_card_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, pictures: Path
) -> None:
    # Blue first, and a weight that takes it so: the same scores.
    bgr = ModelCard("bgr", PreprocessSpec("bgr"), labels=("red", "green", "blue"))
    rgb = ModelCard("rgb", PRESETS["unit"], labels=("red", "green", "blue"))
    (tmp_path / "rgb.onnx").write_bytes(model(WEIGHT, card=rgb))
    (tmp_path / "bgr.onnx").write_bytes(model(WEIGHT[::-1], card=bgr))
    (tmp_path / "wrong.onnx").write_bytes(model(WEIGHT[::-1], card=rgb))
    found = run(capsys, tmp_path, pictures, "rgb.onnx", "bgr.onnx", "wrong.onnx")
    _, same, wrong = (one["against"] for one in found["models"])
    assert same["agreement"]["value"] == 1.0
    assert wrong["agreement"]["value"] < 0.7
    assert found["labels"] == ["red", "green", "blue"]
    [note] = found["notes"]
    assert "each in its own way" in note
    assert "centre 8x8, bgr, mean 0, std 1" in note


def test_a_float_model_is_preprocessed_as_what_was_made_from_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, models: Path, pictures: Path
) -> None:
    data = (models / "float.onnx").read_bytes()
    (tmp_path / "float.onnx").write_bytes(data)
    sha = run(capsys, tmp_path, pictures, "float.onnx")["models"][0]["sha256"]
    card = ModelCard("made", PRESETS["tf"], source_sha256=sha)
    (tmp_path / "made.onnx").write_bytes(model(WEIGHT, card=card))
    found = run(capsys, tmp_path, pictures, "--float", "float.onnx", "made.onnx")
    first, second = found["models"]
    assert (
        first["preprocess"]
        == second["preprocess"]
        == json.loads(json.dumps(PRESETS["tf"].to_json()))
    )
    assert "preprocessed as" in found["notes"][0]


def test_without_a_word_imagenet_is_assumed_and_said(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path
) -> None:
    found = run(capsys, models, pictures, "float.onnx", "--samples", "10")
    assert found["images"] == 10
    assert "--preprocess imagenet is assumed" in found["notes"][0]


def test_classes_in_another_order_are_found_by_their_labels(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, pictures: Path
) -> None:
    card = ModelCard("a", PRESETS["unit"], labels=("red", "green", "blue"))
    turned = ModelCard("b", PRESETS["unit"], labels=("blue", "red", "green"))
    (tmp_path / "a.onnx").write_bytes(model(WEIGHT, card=card))
    (tmp_path / "b.onnx").write_bytes(model(WEIGHT[:, [2, 0, 1]], card=turned))
    found = run(capsys, tmp_path, pictures, "a.onnx", "b.onnx")
    assert found["models"][1]["against"]["agreement"]["value"] == 1.0
    assert [one["class_offset"] for one in found["models"]] == [0, None]
    assert "are found by their labels" in found["notes"][0]


def test_a_drop_of_more_than_is_allowed_exits_with_3(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path
) -> None:
    before, after = (scores(w).argmax(axis=1) == CLASSES for w in (WEIGHT, OTHER))
    drop_pp = 100 * (before.mean() - after.mean())
    assert drop_pp > 1
    files = ["--float", models / "float.onnx", models / "other.onnx", "--images", pictures, *UNIT]
    args = list(map(str, files))
    assert main([*args, "--max-drop", f"{drop_pp + 0.01}"]) == 0
    capsys.readouterr()
    assert main([*args, "--max-drop", f"{drop_pp - 0.01}"]) == 3
    out, err = capsys.readouterr()
    assert "other.onnx" in out  # the figures are there all the same
    assert f"other.onnx is {drop_pp:.2f} points of top-1 below" in err


def test_the_text_says_it_all(
    capsys: pytest.CaptureFixture[str], models: Path, pictures: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\n")
    files = ["--float", models / "float.onnx", models / "other.onnx", models / "soft.onnx"]
    page = tmp_path / "e.html"
    args = [*files, "--images", pictures, "--labels", labels, "--html", page, *UNIT]
    assert main([str(arg) for arg in args]) == 0
    out, err = capsys.readouterr()
    out = " ".join(out.split())
    assert f"{COUNT} labelled images of {pictures}" in out
    assert "against float.onnx" in out
    assert "green -> red" in out
    assert "other.onnx: onnxruntime" in out
    assert "soft.onnx: no SQNR, which is of logits: the scores of soft.onnx are taken" in out
    assert f"up to {300 / COUNT:g} % of all may (rule of three)" in out
    assert err == f"written: {page}\n"
    html = page.read_text()
    assert html.count("<svg") == 3  # accuracy, differences, and the classes of other.onnx
    assert "green → red" in html


def test_broken_images_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, models: Path, pictures: Path
) -> None:
    rows = ["file,class"]
    for name in NAMES[:3]:
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
        rows.append(f"{name},0")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (tmp_path / NAMES[1]).write_bytes(b"no picture")
    found = run(capsys, models, tmp_path, "float.onnx", *UNIT)
    assert (found["images"], found["broken"]) == (2, [NAMES[1]])
    for name in NAMES[:3]:
        (tmp_path / name).write_bytes(b"no picture")
    said = refused(capsys, models / "float.onnx", "--images", tmp_path, *UNIT)
    assert "not one of its 3 images can be read (000.png: " in said


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["float.onnx", "--jobs", "0"], "--jobs 0; allowed: 1 to 256"),
        (["float.onnx", "--scheduler", "a:1"], "--scheduler a:1; allowed: tcp://HOST:PORT"),
        (["float.onnx", "--samples", "0"], "--samples 0; at least 1"),
        (["float.onnx", "--class-offset", "-1"], "--class-offset -1; allowed"),
        (["float.onnx", "--max-drop", "1"], "--max-drop needs a model to compare with"),
        (["float.onnx", "other.onnx", "--max-drop", "nan"], "--max-drop nan; allowed"),
        (["float.onnx", "other.onnx", "--html", "other.onnx"], "is one of the models"),
        (["none.onnx"], "none.onnx: the model cannot be read"),
        (["float.onnx", "--class-offset", "3"], "has only 3 classes"),
        (["float.onnx", "--class-offset", "1"], "classes are not the model's (2); allowed: an in"),
        (["float.onnx", "--color", "gray"], "choose another --color"),
        (["float.onnx", "--scores", "nothing"], "nothing"),
    ],
)
def test_refusals(
    capsys: pytest.CaptureFixture[str],
    models: Path,
    pictures: Path,
    args: list[str],
    message: str,
) -> None:
    given = [str(models / arg) if arg.endswith(".onnx") else arg for arg in args]
    assert message in refused(capsys, *given, "--images", pictures)
    assert (models / "other.onnx").stat().st_size


def test_flags_that_no_model_needs_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, pictures: Path
) -> None:
    (tmp_path / "a.onnx").write_bytes(model(WEIGHT, card=ModelCard("a", PRESETS["unit"])))
    said = refused(capsys, tmp_path / "a.onnx", "--images", pictures, "--mean", "0.5")
    assert "every model carries its preprocessing in its card; leave out --preprocess" in said


# Imports the command and evaluates a model where neither onnx nor tqdm nor matplotlib is installed.
WITHOUT = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("onnx", "tqdm", "matplotlib", "converters"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
from calibration.evaluation.cli import main
raise SystemExit(main())
"""


def test_a_runtime_is_all_it_needs(models: Path, pictures: Path) -> None:
    args = [str(models / "float.onnx"), "--images", str(pictures), *UNIT]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *args], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "float.onnx" in done.stdout
