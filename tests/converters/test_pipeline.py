from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest

from calibration.progress import silent
from converters import outputs, pipeline
from converters.errors import ConvertError
from converters.graph import Graph
from converters.ladder import Climb, Ground, climb
from converters.mixed import Tried
from converters.onnx_import.load import card_of
from converters.operators import Conv
from converters.pipeline import Conversion
from converters.report import render
from converters.request import Level, Request
from converters.source import read_source
from converters.tflite.writer import write_float_tflite
from edge.backends import open_model
from edge.card import CARD_KEY, ModelCard
from edge.errors import EdgeError, GateError
from edge.picture_flags import PreprocessFlags
from edge.preprocess import PRESETS, PreprocessSpec
from tests.converters.models import build, normal


def test_both_artifacts_hold_one_card(conversion: Conversion, tmp_path: Path) -> None:
    for kind, data in conversion.artifacts.items():
        path = tmp_path / f"m.{kind}"
        path.write_bytes(data)
        backend = open_model(path)
        assert backend.spec.card == conversion.card
        backend.close()
    assert conversion.card.source_sha256
    assert conversion.card.quantization["images"] == 8


def test_artifacts_are_close_to_float_and_to_each_other(conversion: Conversion) -> None:
    for kind in ("onnx", "tflite"):
        score = conversion.verification.scores[kind]
        # Random weights: two dozen layers of int8 leave at least 3 bits of signal.
        assert score.sqnr_db is not None
        assert score.sqnr_db > 18
    output = conversion.verification.tensors[-1]
    assert output.name == "logits"
    assert output.steps is not None
    assert output.steps <= 2


def test_calibration_and_verification_share_no_picture(conversion: Conversion) -> None:
    assert conversion.verification.pictures == "4 images held out of calibration"


def test_every_operator_is_an_integer_one(conversion: Conversion) -> None:
    for held in conversion.inventories.values():
        assert held.in_float == ()
    tflite = conversion.inventories["tflite"]
    assert tflite.count("PAD", "PADV2", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE") == 0
    onnx_held = conversion.inventories["onnx"]
    convolutions = onnx_held.count("QLinearConv")
    # In TFLite the classifier is a convolution as well.
    assert convolutions + 1 == tflite.count("CONV_2D", "DEPTHWISE_CONV_2D")
    assert onnx_held.count("QGemm") == 1


def test_converting_again_gives_the_same_bytes(conversion: Conversion) -> None:
    assert pipeline.convert(conversion.request, silent).artifacts == conversion.artifacts


def test_int8_and_uint8_activations_are_the_same_network(
    conversion: Conversion, tmp_path: Path
) -> None:
    arm = pipeline.convert(replace(conversion.request, target="arm"), silent)
    scores = []
    for name, made in (("any", conversion), ("arm", arm)):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(made.artifacts["onnx"])
        backend = open_model(path, exact_kernels=True)
        x = np.random.default_rng(0).uniform(-1, 1, backend.spec.input.shape)
        backend.input_view()[...] = backend.spec.input.quantize(x.astype(np.float32))
        scores.append(backend.spec.output.dequantize(backend.run()))
        assert backend.spec.input.dtype == {"any": "uint8", "arm": "int8"}[name]
    np.testing.assert_array_equal(scores[0], scores[1])


def assert_same_network(
    first: Conversion, second: Conversion, dtypes: set[str], folder: Path
) -> None:
    """Hold two conversions' scores for one picture against each other; `dtypes`: of the second."""
    shape = first.source.graph.input_shape
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    for kind in first.artifacts:
        given = x.transpose(0, 2, 3, 1) if kind == "tflite" else x
        scores = []
        for made in (first, second):
            path = folder / f"net.{kind}"
            path.write_bytes(made.artifacts[kind])
            backend = open_model(path, exact_kernels=True)
            spec = backend.spec
            assert (spec.input.name, spec.output.name) == (first.source.graph.input, "logits")
            assert {spec.input.dtype, spec.output.dtype} <= (
                dtypes if made is second else {"int8", "uint8"}
            )
            backend.input_view()[...] = spec.input.quantize(given)
            scores.append(spec.output.dequantize(backend.run()).copy())
        np.testing.assert_array_equal(scores[0], scores[1])


def test_float_io_is_the_same_network_behind_float(conversion: Conversion, tmp_path: Path) -> None:
    made = pipeline.convert(replace(conversion.request, io="float32"), silent)
    assert_same_network(conversion, made, {"float32"}, tmp_path)


@pytest.mark.parametrize("target", ["any", "arm"])
def test_uint8_io_is_the_same_network_128_higher(
    conversion: Conversion, tmp_path: Path, target: str
) -> None:
    made = pipeline.convert(replace(conversion.request, io="uint8", target=target), silent)
    assert_same_network(conversion, made, {"uint8"}, tmp_path)
    # Every tensor is held against the other format's, the shifted ones included.
    assert {check.name for check in made.verification.tensors if check.steps is not None} == {
        check.name for check in conversion.verification.tensors if check.steps is not None
    }


def test_a_source_with_its_channels_last(pictures: Path, tmp_path: Path) -> None:
    body = "t = Transpose<perm=[0,3,1,2]>(x) c = Conv<pads=[1,1,1,1]>(t, w) r = Relu(c) "
    body += "p = GlobalAveragePool(r) f = Flatten(p) y = Gemm(f, g)"
    model = build(body, "float[N,32,32,3]", w=normal(8, 3, 3, 3), g=normal(8, 5))
    path = tmp_path / "last.onnx"
    onnx.save(model, path)
    rows = np.random.default_rng(1).uniform(-1, 1, (6, 32, 32, 3)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", rows=rows)
    for images in (str(pictures), str(tmp_path / "rows.npz")):
        request = Request(path, tmp_path, images, 4)
        made = pipeline.convert(request, silent)
        assert made.inventories["tflite"].count("TRANSPOSE") == 0
        assert (made.verification.tensors[-1].steps or 0) <= 1
        real = pipeline.convert(replace(request, kind="float32", formats=("tflite",)), silent)
        assert (real.verification.scores["tflite"].sqnr_db or 0) > 100


@pytest.mark.parametrize(("kind", "db"), [("float32", 100.0), ("float16", 50.0)])
def test_without_quantization_only_tflite_is_written(
    conversion: Conversion, tmp_path: Path, kind: Literal["float32", "float16"], db: float
) -> None:
    request = replace(conversion.request, kind=kind, formats=("tflite",), out=tmp_path)
    made = pipeline.convert(request, silent)
    assert list(made.artifacts) == ["tflite"]
    assert (made.quantized, made.calibrated, made.verification.tensors) == (None, None, ())
    score = made.verification.scores["tflite"]
    assert score.agreement == 1
    assert score.sqnr_db is not None
    assert score.sqnr_db > db
    names = [path.name for path in outputs.save(made)]
    assert names == [f"net.{kind}.{end}" for end in ("tflite", "json", "html")]
    backend = open_model(tmp_path / names[0])
    assert backend.spec.input.dtype == "float32"
    assert backend.spec.card == made.card
    half = len(made.artifacts["tflite"]) < 0.6 * made.verification.size_bytes["float"]
    assert half == (kind == "float16")
    assert "float32" in outputs.to_text(made, ())


def test_the_models_own_card_decides_unless_a_flag_does(
    model_file: Path, pictures: Path, tmp_path: Path
) -> None:
    model = onnx.load(model_file)
    spec = PreprocessSpec("bgr", (0.4,), (0.3,), resize=36)
    card = ModelCard("net", spec, tuple("abcde"))
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    path = tmp_path / "carded.onnx"
    onnx.save(model, path)
    request = Request(path, tmp_path, str(pictures), 4)
    source = read_source(request)
    assert source.card.preprocess == spec
    assert source.card.labels == tuple("abcde")
    assert source.notes == ()
    flags = PreprocessFlags(resize=33)
    changed = read_source(replace(request, picture=flags))
    assert changed.card.preprocess == replace(spec, resize=33)


def test_without_card_and_flags_the_default_is_said(model_file: Path, tmp_path: Path) -> None:
    source = read_source(Request(model_file, tmp_path))
    assert source.card.preprocess == PRESETS["imagenet"]
    assert "--preprocess imagenet is assumed" in source.notes[0]


@pytest.fixture
def gray_file(tmp_path: Path) -> Path:
    body = "p = GlobalAveragePool(x) f = Flatten(p) y = Gemm(f, k)"
    path = tmp_path / "gray.onnx"
    onnx.save(build(body, "float[1,1,16,16]", k=normal(1, 4)), path)
    return path


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_a_gray_model_takes_every_preset_gray(gray_file: Path, preset: str | None) -> None:
    request = Request(gray_file, gray_file.parent, picture=PreprocessFlags(preset))
    spec = read_source(request).card.preprocess
    colored = PRESETS[preset or "imagenet"]
    assert spec.color == "gray"
    for values, expected in ((spec.mean, colored.mean), (spec.std, colored.std)):
        assert values == pytest.approx((np.mean(expected),))
    assert spec.resize == colored.resize


def test_a_color_that_was_given_is_not_changed(gray_file: Path) -> None:
    for preset in (None, "tf"):
        flags = PreprocessFlags(preset, color="rgb")
        with pytest.raises(ConvertError, match=r"1 channel\(s\), --color rgb has 3"):
            read_source(Request(gray_file, gray_file.parent, picture=flags))


def test_a_preset_stays_in_color_where_the_model_is(model_file: Path, tmp_path: Path) -> None:
    request = Request(model_file, tmp_path, picture=PreprocessFlags("imagenet"))
    assert read_source(request).card.preprocess == PRESETS["imagenet"]


def test_a_damaged_card_is_refused(model_file: Path) -> None:
    model = onnx.load(model_file)
    onnx.helper.set_model_props(model, {CARD_KEY: '{"format": 1}'})
    with pytest.raises(EdgeError, match="card cannot be read"):
        card_of(model)


@pytest.mark.parametrize("labels", ["a\nb\n", "", "a\nb\nc\nd\ne\nf\n"])
def test_labels_that_are_not_one_a_class_are_refused(
    model_file: Path, tmp_path: Path, labels: str
) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(labels)
    with pytest.raises(EdgeError, match=r"labels"):
        read_source(Request(model_file, tmp_path, labels=path))


def test_preprocessed_tensors_calibrate_too(model_file: Path, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).uniform(-1, 1, (6, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", rows=rows)
    request = Request(model_file, tmp_path, str(tmp_path / "rows.npz"), 4)
    made = pipeline.convert(request, silent)
    assert made.verification.pictures == "2 images held out of calibration"
    assert made.card.quantization["images"] == 4
    assert made.calibrated is not None
    low, high = made.calibrated.input_params.low, made.calibrated.input_params.high
    step = made.calibrated.input_params.scale[0]
    assert low == pytest.approx(rows.min(), abs=step)
    assert high == pytest.approx(rows.max(), abs=step)


def test_the_gate_passes_what_it_should_and_stops_what_it_should(
    conversion: Conversion, pictures: Path
) -> None:
    request = replace(conversion.request, evaluate=str(pictures), max_drop=100.0)
    made = pipeline.convert(request, silent)
    assert made.verification.scores["float"].top1 is not None
    made.check_gate()
    # The same figures with a float model that is always right: every artifact falls short.
    scores = dict(made.verification.scores)
    scores["float"] = replace(scores["float"], top1=1.0)
    scores["tflite"] = replace(scores["tflite"], top1=0.2)
    spoiled = replace(
        made,
        request=replace(request, max_drop=1.0),
        verification=replace(made.verification, scores=scores),
    )
    with pytest.raises(GateError, match=r"int8 \w+ file is \d+\.\d\d points of top-1 below"):
        spoiled.check_gate()


def test_a_gate_that_is_not_met_is_tried_at_the_next_level(
    conversion: Conversion, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def noted(ground: Ground, level: Level) -> Climb:
        tried.append(level)
        return climb(ground, level)

    def unmixed(ground: Ground, reached: Climb, known: Tried, *_: object) -> None:
        tried.append("mixed")
        assert ground.pictures
        assert reached.quantized.weights
        assert "points of top-1" in str(known[1])

    monkeypatch.setattr(pipeline, "climb", noted)
    monkeypatch.setattr(pipeline, "mix", unmixed)
    request = replace(conversion.request, evaluate=str(pictures), max_drop=100.0)
    pipeline.convert(request, silent)
    assert tried == ["fast"]
    impossible = pipeline.convert(replace(request, max_drop=-101.0), silent)
    assert tried == ["fast", "fast", "best", "mixed"]
    with pytest.raises(GateError, match="Nothing was written"):
        impossible.check_gate()
    pipeline.convert(replace(request, max_drop=-101.0, optimize="best"), silent)
    assert tried[4:] == ["best"]


def test_what_was_tried_is_in_every_report(model_file: Path, tmp_path: Path) -> None:
    request = Request(model_file, tmp_path, picture=PreprocessFlags(preset="tf"))
    conversion = pipeline.convert(request, silent)  # synthetic pictures are enough to climb on
    assert conversion.calibrated is not None
    reached = conversion.calibrated.climb
    assert reached is not None
    assert len(reached.rungs) > 1
    found = outputs.to_json(conversion)["optimization"]
    assert [rung["name"] for rung in found["rungs"]] == [rung.name for rung in reached.rungs]
    assert conversion.card.quantization["optimized"] == reached.kept
    assert reached.kept in outputs.to_text(conversion, ())
    assert all(rung.name in render(conversion) for rung in reached.rungs)
    plain = pipeline.convert(replace(request, optimize="none"), silent)
    assert plain.calibrated is not None
    assert plain.calibrated.climb is not None
    assert plain.calibrated.climb.rungs == ()
    assert plain.card.quantization["optimized"] == "ranges alone"
    assert "What was tried" not in render(plain)


def test_a_model_whose_output_is_no_single_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(build("f = Reshape(x, s) y = Relu(f)", s=np.asarray([3, 64])), path)
    with pytest.raises(ConvertError, match=r"output 'y' has shape \[3, 64\]; a classifier's is"):
        read_source(Request(path, tmp_path))


def test_a_model_that_the_runtime_dies_of_is_compared_with_what_was_read(
    pictures: Path, tmp_path: Path
) -> None:
    body = 'c = Conv<strides=[4,4]>(x, w) n = LayerNormalization(c, g, "") '
    body += "p = GlobalAveragePool(n) y = Flatten(p)"
    model = build(body, "float[1,3,32,32]", w=normal(5, 3, 4, 4), g=normal(8))
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    flags = PreprocessFlags(preset="tf", resize=0)
    made = pipeline.convert(Request(path, tmp_path, str(pictures), 8, picture=flags), silent)
    assert made.source.reference is not None
    assert made.verification.scores["tflite"].agreement == 1


def with_turned(graph: Graph, output: str) -> Graph:
    """Return the graph with the weights negated of the convolution that makes `output`."""
    node = graph.producers[output]
    assert isinstance(node.operator, Conv)
    turned = replace(node, operator=replace(node.operator, weight=-node.operator.weight))
    return graph.with_nodes([turned if other is node else other for other in graph.nodes])


def test_a_float_file_that_computes_something_else_is_refused(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(_: Request, graph: Graph, card: ModelCard) -> dict[str, bytes]:
        return {"tflite": write_float_tflite(with_turned(graph, graph.nodes[0].output), card)}

    request = Request(model_file, tmp_path, formats=("tflite",), kind="float32")
    pipeline.convert(request, silent)
    monkeypatch.setattr(pipeline, "write_artifacts", spoiled)
    with pytest.raises(ConvertError, match=r"no nearer to the source than -?\d+\.\d dB"):
        pipeline.convert(request, silent)


def test_a_float_file_one_of_whose_other_outputs_is_wrong_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "a = Conv<pads=[1,1,1,1]>(x, v) p = GlobalAveragePool(x) f = Flatten(p) y = Gemm(f, h)"
    model = build(body, outputs=("a", "y"), v=normal(4, 3, 3, 3), h=normal(3, 5))
    path = tmp_path / "net.onnx"
    onnx.save(model, path)

    def spoiled(_: Request, graph: Graph, card: ModelCard) -> dict[str, bytes]:
        return {"tflite": write_float_tflite(with_turned(graph, "a"), card)}

    request = Request(path, tmp_path, formats=("tflite",), kind="float32")
    good = pipeline.convert(request, silent).verification
    assert good.outputs[0].sqnr_db["tflite"] > 100
    monkeypatch.setattr(pipeline, "write_artifacts", spoiled)
    with pytest.raises(ConvertError, match=r"output 'a' of the float32 file comes no nearer"):
        pipeline.convert(request, silent)


def test_both_artifacts_give_every_output(two_heads: Conversion, tmp_path: Path) -> None:
    assert two_heads.card.scores == "logits"
    assert two_heads.source.notes == ()
    (other,) = two_heads.verification.outputs
    assert (other.name, set(other.sqnr_db)) == ("features", {"onnx", "tflite"})
    assert min(other.sqnr_db.values()) > 30
    for kind, data in two_heads.artifacts.items():
        path = tmp_path / f"net.{kind}"
        path.write_bytes(data)
        opened = open_model(path)
        assert opened.spec.card == two_heads.card
        assert opened.spec.output.name == "logits"
        assert opened.run().shape == (5,)
        given = {name: y.shape for name, y in opened.run_all().items()}
        assert list(given.items()) == [("logits", (1, 5)), ("features", (1, 8, 16, 16))]
    assert two_heads.moves == ("features for the output, as in the source",)
    assert two_heads.inventories["tflite"].count("TRANSPOSE") == 1


def test_the_scores_are_what_they_are_alone(
    two_heads: Conversion, two_heads_file: Path, tmp_path: Path
) -> None:
    model = onnx.load(two_heads_file)
    del model.graph.output[1]
    onnx.save(model, tmp_path / "net.onnx")
    alone = pipeline.convert(replace(two_heads.request, model=tmp_path / "net.onnx"), silent)
    assert alone.card.scores == ""
    assert alone.verification.outputs == ()
    for kind in ("onnx", "tflite"):
        ours, theirs = (made.verification.scores[kind] for made in (two_heads, alone))
        assert (ours.sqnr_db, ours.agreement) == (theirs.sqnr_db, theirs.agreement)


@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_every_output_follows_io(
    two_heads: Conversion, tmp_path: Path, io: Literal["uint8", "float32"]
) -> None:
    made = pipeline.convert(replace(two_heads.request, io=io), silent)
    assert_same_network(two_heads, made, {io}, tmp_path)
    assert made.verification.outputs == two_heads.verification.outputs


def test_the_card_of_a_source_says_which_output_it_is(two_heads_file: Path, tmp_path: Path) -> None:
    model = onnx.load(two_heads_file)
    model.graph.output.append(onnx.helper.make_tensor_value_info("pooled", 1, None))
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    first = read_source(Request(path, tmp_path))
    assert first.graph.output == "logits"
    assert "'pooled' [1, 8] would do as well" in first.notes[1]
    card = ModelCard("net", PRESETS["tf"], scores="pooled")
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.save(model, path)
    source = read_source(Request(path, tmp_path))
    assert (source.graph.output, source.card.scores, source.notes) == ("pooled", "pooled", ())
    assert read_source(Request(path, tmp_path, scores="logits")).card.scores == "logits"
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\ne\n")
    with pytest.raises(EdgeError, match="5 labels, but the model has 8 classes"):
        read_source(Request(path, tmp_path, labels=labels))
