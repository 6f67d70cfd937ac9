"""Files that onnxruntime's own tool quantized, converted by the command."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantType

from calibration.progress import silent
from converters import pipeline
from converters.cli import main
from converters.errors import ConvertError, UnsupportedModelError
from converters.graph import Node
from converters.outputs import to_json
from converters.pipeline import Conversion
from converters.quantize import given
from converters.quantize.given_weights import Found, given_weights
from converters.quantize.integers import GivenConstants
from converters.quantize.params import QuantParams
from converters.quantize.quantized import Io
from converters.report import render
from converters.request import Request
from edge.backends import open_model
from edge.tensors import Array
from tests.converters.artifacts import CARD, make, quantized_of
from tests.converters.models import build, f32, normal
from tests.converters.qdq import by_onnxruntime, pair, taken

X = "float[1,3,16,16]"
NETWORK = (
    "c = Conv<pads=[1,1,1,1]>(x, w, b) r = Clip(c, zero, six) "
    "d = Conv<pads=[1,1,1,1], group=4>(r, k, kb) s = Relu(d) p = Conv(s, q, qb) a = Add(p, r) "
    "e = Conv<strides=[2,2]>(a, q2) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a) "
    "t = Concat<axis=1>(e, m) g = GlobalAveragePool(t) f = Flatten(g) z = Gemm<transB=1>(f, l, lb) "
    "y = Softmax(z)"
)
CONSTANTS: dict[str, Any] = {
    "w": normal(4, 3, 3, 3, spread=0.3),
    "b": normal(4),
    "k": normal(4, 1, 3, 3, seed=1),
    "kb": normal(4, seed=2),
    "q": normal(4, 4, 1, 1, seed=3),
    "qb": normal(4, seed=4),
    "q2": normal(4, 4, 1, 1, seed=5),
    "l": normal(5, 8, seed=6),
    "lb": normal(5, seed=7),
    "zero": f32(0),
    "six": f32(6),
}
VARIANTS = list(product((QuantType.QUInt8, QuantType.QInt8), (True, False), (True, False)))


def scales_in(model: onnx.ModelProto) -> Iterator[tuple[str, Array, Array]]:
    """Return each QuantizeLinear's output with its scale and zero point."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            yield node.output[0], held[node.input[1]], held[node.input[2]]


def weights_in(model: onnx.ModelProto) -> dict[str, tuple[Array, Array]]:
    """Return the integers and scales of every constant by the name of what they mean."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {
        node.output[0]: (held[node.input[0]], held[node.input[1]])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held
    }


@pytest.mark.parametrize(("activation", "per_channel", "quantize_bias"), VARIANTS)
def test_what_onnxruntime_quantized_keeps_every_number(
    tmp_path: Path, activation: QuantType, per_channel: bool, quantize_bias: bool
) -> None:
    model = by_onnxruntime(
        build(NETWORK, X, **CONSTANTS),
        tmp_path,
        classes=5,
        activation=activation,
        per_channel=per_channel,
        QuantizeBias=quantize_bias,
    )
    made = taken(model)
    shift = 128 if activation == QuantType.QUInt8 else 0
    read = {n.input[0]: n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    kept = 0
    for name, scale, zero_point in scales_in(model):
        value = next((v for v in (name, read[name]) if v in made.quantized.activations), None)
        if value is not None:
            assert made.scale(value) == float(scale), name
            assert made.zero_point(value) == int(zero_point) - shift, name
            kept += 1
    assert kept >= 11
    held = weights_in(model)
    by_name = {n.name or f"{n.op_type}_{n.output[0]}": n for n in model.graph.node}
    assert len(made.quantized.weights) == 5
    for name, weights in made.quantized.weights.items():
        node = by_name[name]
        integers, scales = held[node.input[1]]
        np.testing.assert_array_equal(weights.weight, integers)
        channels = len(weights.bias)
        np.testing.assert_array_equal(
            np.asarray(weights.params.scale, np.float32), np.broadcast_to(scales, channels)
        )
        if quantize_bias and len(node.input) > 2:
            np.testing.assert_array_equal(weights.bias, held[node.input[2]][0])
    said = " ".join(made.given.notes)
    assert ("biases are float" in said) == (not quantize_bias)
    assert "TFLite's Softmax gives scale 0.00390625" in said
    # Every operator is one of integers: the two borders and what is requantized apart.
    assert made.opcodes.count("DEQUANTIZE") == 1
    # The Softmax's own 256th, and the file's scale for it, are two roundings.
    assert made.steps_apart(made.scale("y")) <= 2


@pytest.fixture(scope="module")
def quantized_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized")
    model = by_onnxruntime(build(NETWORK, X, **CONSTANTS), folder, classes=5)
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def outputs(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_command_writes_tflite_and_says_what_became_of_the_scales(
    quantized_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--int8", str(quantized_file), "-o", str(tmp_path)]) == 0
    assert outputs(tmp_path) == {f"net.int8.{kind}" for kind in ("tflite", "json", "html")}
    out, _ = capsys.readouterr()
    assert "with the source's own scales" in out
    assert "source (QDQ)" in out
    assert "calibrat" not in out
    data = json.loads((tmp_path / "net.int8.json").read_text())
    notes = data["already_quantized"]["notes"]
    assert any("TFLite's Softmax" in note for note in notes)
    assert any("TFLite's Concat" in note for note in notes)
    html = (tmp_path / "net.int8.html").read_text()
    assert "the source, bit for bit" in html
    for note in notes:
        assert note.split(":")[0] in html
    backend = open_model(tmp_path / "net.int8.tflite")
    assert backend.spec.card is not None
    assert "already quantized" in backend.spec.card.quantization["scheme"]
    assert backend.spec.input.dtype == "int8"
    backend.close()


def test_its_scales_are_not_made_one(
    quantized_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--int8", "--per-tensor", str(quantized_file), "-o", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "already quantized" in err
    assert "Leave out --per-tensor" in err
    assert outputs(tmp_path) == set()


@pytest.fixture(scope="module")
def conversion(quantized_file: Path) -> Conversion:
    return pipeline.convert(Request(quantized_file, quantized_file.parent), silent)


def test_every_tensor_is_held_against_the_sources_integers(conversion: Conversion) -> None:
    checks = {check.name: check for check in conversion.verification.tensors}
    compared = {name: check for name, check in checks.items() if check.steps is not None}
    assert len(compared) >= 9
    # A Concat's inputs are rounded once more, which moves what follows it.
    for name, check in compared.items():
        assert check.steps is not None
        assert check.steps <= (1 if name < "e" else 2), name
        # Its own float network is another, and is not what the artifact is compared with.
        assert (check.sqnr_db["tflite"] == np.inf) == (check.steps == 0), name
        assert check.sqnr_db["tflite"] > 20, name
    assert set(conversion.verification.scores) == {"float", "tflite"}
    score = conversion.verification.scores["tflite"]
    assert score.agreement == 1.0
    assert score.sqnr_db is not None
    assert score.sqnr_db > 30


def test_a_broken_artifact_fails_that_comparison(
    quantized_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(node: Node, constants: GivenConstants, params: QuantParams) -> Found:
        found = given_weights(node, constants, params)
        return replace(found, weights=replace(found.weights, bias=found.weights.bias + 4000))

    monkeypatch.setattr(given, "given_weights", off)
    made = pipeline.convert(Request(quantized_file, quantized_file.parent), silent)
    assert max(check.steps or 0 for check in made.verification.tensors) > 2


def test_integers_at_the_border_are_read(tmp_path: Path) -> None:
    """What this command writes itself, whose input and output are uint8."""
    made = make("c = Conv(x, w, b) g = GlobalAveragePool(c) y = Flatten(g)", X,
                w=normal(3, 3, 3, 3), b=normal(3))  # fmt: skip
    path = tmp_path / "own.onnx"
    onnx.save(made.onnx, path)
    back = pipeline.convert(Request(path, tmp_path), silent)
    assert back.source.card.labels == CARD.labels
    assert quantized_of(back).activations == made.quantized.activations
    assert back.source.given is not None
    assert back.source.given.notes == ()
    (check,) = [c for c in back.verification.tensors if c.name == "c"]
    assert check.equal == 1.0


@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_what_the_caller_gives_is_as_asked(quantized_file: Path, tmp_path: Path, io: Io) -> None:
    made = pipeline.convert(Request(quantized_file, tmp_path, io=io), silent)
    path = tmp_path / "net.tflite"
    path.write_bytes(made.artifacts["tflite"])
    backend = open_model(path)
    assert (backend.spec.input.dtype, backend.spec.output.dtype) == (io, io)
    backend.close()


def test_floats_at_the_border_stay_floats(tmp_path: Path) -> None:
    """A first convolution and a last Gemm that a tool left in float are computed so."""
    body = (
        "c = Conv<pads=[1,1,1,1]>(x, w, b) "
        + pair("c", "d", "s, z")
        + "m = MaxPool<kernel_shape=[2,2]>(d) g = GlobalAveragePool(m) f = Flatten(g) "
        "y = Gemm(f, l)"
    )
    constants: dict[str, Any] = {"w": normal(4, 3, 3, 3), "b": normal(4), "l": normal(4, 5)}
    model = build(body, X, s=f32(0.1), z=np.asarray(128, np.uint8), **constants)
    onnx.save(model, tmp_path / "net.onnx")
    made = pipeline.convert(Request(tmp_path / "net.onnx", tmp_path), silent)
    path = tmp_path / "net.tflite"
    path.write_bytes(made.artifacts["tflite"])
    backend = open_model(path)
    assert (backend.spec.input.dtype, backend.spec.output.dtype) == ("float32", "float32")
    backend.close()
    assert made.inventories["tflite"].in_float
    # The report, too, bears values that have no integers.
    html = render(made)
    assert "4 values stay float" in html
    assert json.loads(json.dumps(to_json(made), allow_nan=False))["already_quantized"]
    score = made.verification.scores["tflite"]
    assert score.sqnr_db is not None
    assert score.sqnr_db > 60


def test_a_fixed_batch_becomes_one_picture(tmp_path: Path) -> None:
    body = pair("x", "d", "s, z") + "c = Conv(d, wd) " + pair("c", "e", "s, z")
    body += "g = GlobalAveragePool(e) f = Flatten(g) " + pair("f", "y", "t, z")
    model = build(
        "wd = DequantizeLinear(w, t) " + body,
        "float[2,3,16,16]",
        s=f32(0.05),
        t=f32(0.01),
        z=np.asarray(128, np.uint8),
        w=np.arange(-40, 41, dtype=np.int8).reshape(3, 3, 3, 3),
    )
    onnx.save(model, tmp_path / "net.onnx")
    made = pipeline.convert(Request(tmp_path / "net.onnx", tmp_path), silent)
    assert made.source.batch == 2
    steps = {check.name: check.steps for check in made.verification.tensors}
    # Of one picture the source is written anew, its weights as floats: sums that end between two
    # integers tip over.
    assert {steps["e_q"], steps["y"]} <= {0, 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"calibration": "photos"}, "takes no --calibration"),
        ({"observer": "mse"}, "takes no --calibration, --observer"),
        ({"optimize": "none"}, "or --optimize"),
        ({"formats": ("onnx",)}, "only TFLite is written"),
        ({"kind": "float32"}, "give the float32 model"),
        ({"kind": "float16"}, "give the float32 model"),
    ],
)
def test_what_has_no_place_is_refused(
    quantized_file: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConvertError, match=reason):
        pipeline.convert(Request(quantized_file, tmp_path, **changes), silent)


def test_16_bit_activations_are_refused_by_name(tmp_path: Path) -> None:
    model = by_onnxruntime(
        build(NETWORK, X, opset=21, **CONSTANTS),
        tmp_path,
        classes=5,
        activation=QuantType.QInt16,
    )
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(UnsupportedModelError, match="integers of type int16") as caught:
        pipeline.convert(Request(tmp_path / "net.onnx", tmp_path), silent)
    assert [refusal.node for refusal in caught.value.refusals] == ["x_QuantizeLinear"]


def test_a_float_model_says_nothing_of_it(model_file: Path, tmp_path: Path) -> None:
    made = pipeline.convert(Request(model_file, tmp_path, kind="float32"), silent)
    assert made.source.given is None


@pytest.mark.parametrize("io", ["integer", "uint8", "float32"])
def test_every_output_of_a_quantized_source_is_given(tmp_path: Path, io: Io) -> None:
    # Read inside, behind a clamp; a second name of one; and one that TFLite requantizes.
    outputs = ("z", "r", "a", "again", "t")
    model = build(f"{NETWORK} again = Identity(a)", X, outputs=outputs, **CONSTANTS)
    path = tmp_path / "net.onnx"
    onnx.save(by_onnxruntime(model, tmp_path, classes=5), path)
    made = pipeline.convert(Request(path, tmp_path, io=io), silent)
    assert made.card.scores == "z"
    found = {check.name: check.sqnr_db["tflite"] for check in made.verification.outputs}
    assert tuple(found) == outputs[1:]
    # The very integers, but for the Concat, whose two scales become one.
    assert [name for name, db in found.items() if math.isinf(db)] == ["r", "a", "again"]
    assert found["t"] > 30
    (tmp_path / "net.tflite").write_bytes(made.artifacts["tflite"])
    opened = open_model(tmp_path / "net.tflite")
    assert opened.spec.output.dtype == {"integer": "int8"}.get(io, io)
    assert tuple(opened.run_all()) == outputs


def test_integer_outputs_of_a_quantized_source_are_all_read(tmp_path: Path) -> None:
    body = (
        "xr = DequantizeLinear(x, s, zero_point) wr = DequantizeLinear(w, s) c = Conv(xr, wr) "
        "a = QuantizeLinear(c, s, zero_point) ar = DequantizeLinear(a, s, zero_point) "
        "p = GlobalAveragePool(ar) f = Flatten(p) y = QuantizeLinear(f, s, zero_point)"
    )
    w = np.random.default_rng(0).integers(-9, 9, (4, 3, 3, 3)).astype(np.int8)
    constants: dict[str, Any] = {"s": f32(0.1), "zero_point": np.asarray(3, np.uint8), "w": w}
    model = build(body, "uint8[1,3,8,8]", outputs=("a", "y"), **constants)
    for output in model.graph.output:
        output.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    made = pipeline.convert(Request(path, tmp_path), silent)
    assert made.card.scores == "y"
    (other,) = made.verification.outputs
    assert (other.name, other.sqnr_db) == ("a", {"tflite": math.inf})


def test_its_roundings_are_not_ours_to_trace(
    quantized_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(quantized_file), "-o", str(tmp_path), "--sensitivity"]) == 2
    assert "--sensitivity" in capsys.readouterr().err
    assert outputs(tmp_path) == set()


def test_its_report_says_nothing_of_tracing(conversion: Conversion) -> None:
    assert conversion.sensitivity is None
    assert "--sensitivity" not in render(conversion)
