"""Where int8 alone does not do: the fewest layers in float that do."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from calibration.dataset import tensors
from calibration.metrics import centred_sqnr_db
from calibration.progress import silent
from converters import outputs, pipeline
from converters.cli import main
from converters.pictures import choose_pictures
from converters.pipeline import Conversion
from converters.report import render
from converters.request import Request
from converters.source import read_source
from edge.errors import GateError
from edge.picture_flags import PreprocessFlags
from edge.tensors import Array
from tests.converters.models import Constants, build, f32, normal
from tests.converters.quantize.test_keep_float import float_weights

BODY = (
    "a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) b = Clip(a, zero, six) "
    "c = Conv<pads=[1,1,1,1]>(b, v) d = Clip(c, zero, six) e = Conv(d, u) p = GlobalAveragePool(e) "
    "f = Flatten(p) h = MatMul(f, g) y = Add(h, shift)"
)
CONSTANTS: Constants = {
    "w": normal(8, 3, 3, 3),
    "v": normal(8, 8, 3, 3, seed=1, spread=0.2),
    "u": normal(8, 8, 1, 1, seed=2),
    "g": normal(8, 5, seed=3),
    "shift": f32(np.zeros(5)),
    "zero": f32(0),
    "six": f32(6),
}
TINY = f32([1e-6, 1, 1, 1, 1, 1, 1, 1])
# Large weights for what is all but nothing leave the others of their layer no steps; the clamp
# before it is one number for all channels, so that none can be scaled.
DELICATE: Constants = {
    **CONSTANTS,
    "w": CONSTANTS["w"] * TINY.reshape(8, 1, 1, 1),
    "v": CONSTANTS["v"] + f32([40, 0, 0, 0, 0, 0, 0, 0]).reshape(1, 8, 1, 1),
}
TARGET_DB = 25.0


def request(folder: Path, pictures: Path, constants: Constants, **asked: Any) -> Request:  # noqa: ANN401 (fields of Request)
    path = folder / "net.onnx"
    onnx.save(build(BODY, "float[1,3,32,32]", **constants), path)
    flags = PreprocessFlags(preset="tf", resize=0)
    plain = Request(path, folder, str(pictures), samples=12, picture=flags)
    return replace(plain, **asked)


@pytest.fixture(scope="module")
def delicate(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Conversion:
    folder = tmp_path_factory.mktemp("delicate")
    return pipeline.convert(request(folder, pictures, DELICATE, min_sqnr=TARGET_DB), silent)


def float_layers(conversion: Conversion) -> list[str]:
    assert conversion.calibrated is not None
    mixing = conversion.calibrated.mixing
    return [layer.output for layer in mixing.layers] if mixing else []


def float_constants(model: bytes) -> set[str]:
    """Return the names of a TFLite file's float32 constants."""
    unpacked = schema.ModelT.InitFromPackedBuf(model, 0)
    return {
        tensor.name.decode()
        for tensor in unpacked.subgraphs[0].tensors
        if tensor.type == schema.TensorType.FLOAT32
        and unpacked.buffers[tensor.buffer].data is not None
    }


def test_exactly_the_delicate_layer_is_float(delicate: Conversion) -> None:
    assert float_layers(delicate) == ["d"]
    onnx_file = onnx.load_from_string(delicate.artifacts["onnx"])
    assert float_weights(onnx_file) == {"Conv_c/weight"}
    assert float_constants(delicate.artifacts["tflite"]) == {"Conv_c/weight", "Conv_c/bias"}
    assert delicate.inventories["tflite"].in_float == ("d/float",)
    for kind in ("onnx", "tflite"):
        assert (delicate.verification.scores[kind].sqnr_db or 0) >= TARGET_DB
    delicate.check_gate()


def test_every_report_says_which_layer_is_float_why_and_what_it_costs(
    delicate: Conversion,
) -> None:
    assert delicate.card.quantization["in_float"] == ["d"]
    found = outputs.to_json(delicate)["in_float"]
    (layer,) = found["layers"]
    assert (layer["name"], layer["output"], layer["kind"], found["of"]) == (
        "Conv_c",
        "d",
        "Conv",
        5,
    )
    assert layer["noise"] > 0.9
    # Multiply-adds of a, d, e and y.
    adds = [16 * 16 * 8 * 27, 16 * 16 * 8 * 72, 16 * 16 * 8 * 8, 40]
    assert layer["multiply_adds"] == pytest.approx(adds[1] / sum(adds))
    assert found["in_int8"]["layers"] == 0
    text = outputs.to_text(delicate, ())
    assert "1 of 5 layers in float (d)" in text
    assert "--min-sqnr asks for 25 dB" in text
    page = render(delicate)
    assert "Which layers are float" in page
    assert "--min-sqnr asks for 25 dB" in page


def test_both_files_compute_the_same_in_their_runtimes(
    tmp_path: Path, pictures: Path, delicate: Conversion
) -> None:
    asked = request(tmp_path, pictures, DELICATE, min_sqnr=TARGET_DB, io="float32")
    made = pipeline.convert(asked, silent)
    assert float_layers(made) == float_layers(delicate)
    x = [normal(1, 3, 32, 32, seed=seed, spread=0.5).clip(-1, 1) for seed in range(16)]
    source = onnxruntime.InferenceSession(asked.model)
    mixed = onnxruntime.InferenceSession(made.artifacts["onnx"])
    expected, found = (
        np.concatenate([session.run(None, {"x": one})[0] for one in x])
        for session in (source, mixed)
    )
    litert = Interpreter(model_content=made.artifacts["tflite"])
    litert.allocate_tensors()
    theirs = []
    for one in x:
        litert.set_tensor(litert.get_input_details()[0]["index"], one.transpose(0, 2, 3, 1))
        litert.invoke()
        theirs.append(litert.get_tensor(litert.get_output_details()[0]["index"]))
    for scores in (found, np.concatenate(theirs)):
        assert centred_sqnr_db(expected, scores) > TARGET_DB - 3  # noise, not pictures
    step = made.quantized.activations["y"].scale[0] if made.quantized else 0
    assert np.abs(found - np.concatenate(theirs)).max() <= 1.01 * step


def test_what_int8_reaches_has_no_layer_in_float(tmp_path: Path, pictures: Path) -> None:
    made = pipeline.convert(request(tmp_path, pictures, CONSTANTS, min_sqnr=TARGET_DB), silent)
    made.check_gate()
    assert float_layers(made) == []
    assert "in_float" not in made.card.quantization
    assert outputs.to_json(made)["in_float"] is None
    assert float_constants(made.artifacts["tflite"]) == set()
    assert "Which layers are float" not in render(made)


def test_a_level_that_was_asked_for_stays_in_int8(tmp_path: Path, pictures: Path) -> None:
    asked = request(tmp_path, pictures, DELICATE, min_sqnr=TARGET_DB, optimize="fast")
    made = pipeline.convert(asked, silent)
    assert float_layers(made) == []
    expected = r"are \d\.\d dB from float's; --min-sqnr asks for 25 dB .* without --optimize more"
    with pytest.raises(GateError, match=expected):
        made.check_gate()


def scores_of(asked: Request) -> dict[str, Array]:
    """Return what the float model gives for each picture of the calibration set, by its name."""
    source = read_source(asked)
    images = choose_pictures(asked, source).calibration
    session = onnxruntime.InferenceSession(asked.model)
    inputs = tensors(images, source.card.preprocess, source.input_spec)
    names = sorted(path.name for path in Path(str(asked.calibration)).glob("*.png"))
    return {name: session.run(None, {"x": x})[0][0] for name, x in zip(names, inputs, strict=True)}


def test_top1_is_a_target_too(tmp_path: Path, pictures: Path) -> None:
    """The float model gives the pictures several classes, and by their labels it is right."""
    scores = scores_of(request(tmp_path, pictures, DELICATE))
    even = {**DELICATE, "shift": -np.mean(list(scores.values()), axis=0)}
    right = tmp_path / "right"
    asked = request(tmp_path, pictures, even, evaluate=str(right), max_drop=10.0)
    shutil.copytree(pictures, right)
    rows = [
        f"{name},{row.argmax()}" for name, row in scores_of(replace(asked, evaluate=None)).items()
    ]
    (right / "labels.csv").write_text("\n".join(["file,class", *rows]))
    made = pipeline.convert(asked, silent)
    assert float_layers(made) == ["d"]
    assert made.verification.scores["float"].top1 == 1
    assert (made.verification.scores["tflite"].top1 or 0) >= 0.9
    assert made.calibrated is not None
    assert made.calibrated.mixing is not None
    assert "points of top-1 below float" in str(made.calibrated.mixing.in_int8.missed)


def test_a_target_that_cannot_be_met_leaves_what_was_there(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(request(tmp_path, pictures, DELICATE).model)
    flags = ["--preprocess", "tf", "--resize", "none", "--calibration", str(pictures)]
    assert main([model, *flags, "--samples", "12", "--min-sqnr", str(TARGET_DB)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before) == 5
    capsys.readouterr()
    assert main([model, *flags, "--samples", "12", "--min-sqnr", "200"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    # More in float do no better: the scores are rounded as well.
    assert re.search(
        r"with 4 of 5 layers in float the scores of .* are \d\d\.\d dB from float's", err
    )
    assert "--float32 or --float16" in err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
