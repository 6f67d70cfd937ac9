from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from calibration.progress import silent
from converters import pipeline
from converters.confirm import confirm
from converters.errors import ConvertError
from converters.graph import Node
from converters.operators import Affine, Conv
from converters.pipeline import Conversion
from converters.request import Request
from edge.picture_flags import PreprocessFlags
from tests.converters.artifacts import quantized_of
from tests.converters.models import Constants, build, f32, imported, int64, normal


def with_batch(source: Path, target: Path, batch: int) -> Path:
    model = onnx.load(source)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(model, target)
    return target


def test_the_graph_of_a_model_is_confirmed(conversion: Conversion, model_file: Path) -> None:
    assert confirm(conversion.source.graph, model_file) == 1


def test_one_wrong_weight_is_noticed(conversion: Conversion, model_file: Path) -> None:
    graph = conversion.source.graph
    first, *rest = graph.nodes
    assert isinstance(first.operator, Conv)
    weight = first.operator.weight.copy()
    weight[0, 0] *= -1
    broken = replace(first, operator=replace(first.operator, weight=weight))
    with pytest.raises(ConvertError, match="was not understood"):
        confirm(graph.with_nodes([broken, *rest]), model_file)


def test_a_model_that_gives_nan_is_noticed(
    conversion: Conversion, model_file: Path, tmp_path: Path
) -> None:
    model = onnx.load(model_file)
    bias = next(i for i in model.graph.initializer if i.name == "classifier.bias")
    nan = np.full(bias.dims, np.nan, np.float32)
    bias.CopyFrom(onnx.numpy_helper.from_array(nan, bias.name))
    path = tmp_path / "nan.onnx"
    onnx.save(model, path)
    with pytest.raises(ConvertError, match="for a picture of noise is NaN or infinite"):
        confirm(conversion.source.graph, path)


def test_an_output_of_another_size_is_noticed(
    conversion: Conversion, model_file: Path, tmp_path: Path
) -> None:
    model = onnx.load(model_file)
    end = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Concat", [end, end], ["twice"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("twice", 1, ["batch", 10]))
    onnx.save(model, tmp_path / "twice.onnx")
    with pytest.raises(ConvertError, match=r"its output is \[1, 5\] where it is \[1, 10\]"):
        confirm(conversion.source.graph, tmp_path / "twice.onnx")


def test_every_output_is_compared(two_heads: Conversion, two_heads_file: Path) -> None:
    graph = two_heads.source.graph
    assert confirm(graph, two_heads_file) == 1
    spoiled = Node("spoiled", Affine(f32([2.0] * 8), f32([0.0] * 8), 1), ("features",), "spoiled")
    other = replace(graph, outputs=("logits", "spoiled")).with_nodes([*graph.nodes, spoiled])
    with pytest.raises(ConvertError, match=r"read as a graph, its output 'spoiled' is .* off"):
        confirm(other, two_heads_file)


@pytest.mark.parametrize("body", ["s = ReduceMean<keepdims=0>(y)", "s = Reshape(y, five)"])
def test_an_output_without_a_batch(body: str, tmp_path: Path) -> None:
    head = "p = GlobalAveragePool(x) f = Flatten(p) y = Gemm(f, g) "
    five: Constants = {"five": int64(5)} if "five" in body else {}
    batch = 1 if five else 4
    x = f"float[{batch},3,8,8]"
    model = build(head + body, x, outputs=("y", "s"), g=normal(3, 5), **five)
    onnx.save(model, tmp_path / "net.onnx")
    assert confirm(imported(model), tmp_path / "net.onnx") == batch


def test_a_file_that_cannot_be_run_is_said(conversion: Conversion, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ConvertError, match="cannot run it"):
        confirm(conversion.source.graph, path)


def test_an_error_without_words_is_named(
    conversion: Conversion, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(onnxruntime, "InferenceSession", exhausted)
    with pytest.raises(ConvertError, match=r"cannot run it \(MemoryError\)"):
        confirm(conversion.source.graph, model_file)


def test_a_fixed_batch_is_converted_to_one_picture(
    model_file: Path, pictures: Path, conversion: Conversion, tmp_path: Path
) -> None:
    path = with_batch(model_file, tmp_path / "net.onnx", 4)
    flags = PreprocessFlags(preset="tf", resize=0)
    request = Request(path, tmp_path, str(pictures), 8, picture=flags)
    made = pipeline.convert(request, silent)
    assert made.source.batch == 4
    assert quantized_of(made).graph.input_shape[0] == 1
    score = made.verification.scores["tflite"]
    assert score.sqnr_db == pytest.approx(conversion.verification.scores["tflite"].sqnr_db)
