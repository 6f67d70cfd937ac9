"""Our own artifacts, a broken one, and files with other people's inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from calibration.evaluation.cli import main
from converters.cli import main as convert
from converters.mobilenet_v2.digits.samples import write_samples
from tests.edge.backends.tiny_models import CLASSES, HEIGHT, WIDTH, onnx_model, tflite_model

DIGITS = Path(__file__).parents[3] / "converters" / "mobilenet_v2" / "digits" / "digits.onnx"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model's artifacts, a float model whose classes are mixed up, and pictures."""
    folder = tmp_path_factory.mktemp("digits")
    write_samples(["--out", str(folder), "--calibration", "16", "--evaluation", "60"])
    data = ["--calibration", str(folder / "calibration")]
    assert convert(["--int8", str(DIGITS), "-o", str(folder), *data]) == 0
    model = onnx.load(DIGITS)
    [last] = [one for one in model.graph.initializer if 10 in one.dims and len(one.dims) == 2]
    values = numpy_helper.to_array(last)
    mixed = np.roll(values, 1, axis=list(last.dims).index(10))
    last.CopyFrom(numpy_helper.from_array(mixed, last.name))
    onnx.save(model, folder / "broken.onnx")
    return folder


def evaluated(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = main([*map(str, args), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_our_artifacts_are_as_good_as_float(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [digits / "digits.int8.onnx", digits / "digits.int8.tflite"]
    args = ["--float", DIGITS, *files, "--images", digits / "evaluation", "--max-drop", "4"]
    status, found = evaluated(capsys, *args)
    assert status == 0
    assert found["models"][0]["top1"]["value"] > 0.9
    for one in found["models"][1:]:
        assert one["against"]["sqnr_db"] > 20
        assert one["against"]["agreement"]["value"] > 0.95
        assert one["scores"] == "logits"
    *_, tflite = found["models"]
    assert tflite["kernels"] == "XNNPACK"
    assert found["labels"] == [str(digit) for digit in range(10)]


def test_a_broken_one_is_not(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--float", DIGITS, digits / "broken.onnx", "--images", digits / "evaluation"]
    status, found = evaluated(capsys, *args, "--max-drop", "4")
    assert status == 3
    against = found["models"][1]["against"]
    assert against["top1"]["high"] < -0.8
    assert against["sqnr_db"] < 5
    assert len(against["lost"]) > 50


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every element type that give the mean of each channel; pictures for them."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "float.onnx").write_bytes(onnx_model())
    for dtype in ("float32", "int8", "uint8"):
        (folder / f"{dtype}.tflite").write_bytes(tflite_model(dtype=dtype))
    (folder / "labelled").mkdir()
    rows = ["file,class"]
    # Up to 126: what an int8 tensor of scale 0.5 holds.
    for index, colour in enumerate(np.random.default_rng(0).integers(0, 126, (12, CLASSES))):
        pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        pixels[:] = colour[::-1]
        assert cv2.imwrite(str(folder / "labelled" / f"{index:02d}.png"), pixels)
        rows.append(f"{index:02d}.png,{colour.argmax()}")
    (folder / "labelled" / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_any_element_type_is_taken(
    tiny: Path, capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    args = ["--float", tiny / "float.onnx", tiny / f"{dtype}.tflite"]
    flags = ["--preprocess", "none", "--resize", "none"]
    status, found = evaluated(capsys, *args, "--images", tiny / "labelled", *flags)
    assert status == 0
    float_, other = found["models"]
    assert float_["top1"]["value"] == other["top1"]["value"] == 1.0
    assert other["against"]["agreement"]["value"] == 1.0
    # Whole numbers are held exactly by all of them: no noise at all, or float32's own.
    noise_db = other["against"]["sqnr_db"]
    assert noise_db is None or noise_db > 100
    assert other["runtime"].startswith("ai-edge-litert")
