from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.metrics import sqnr_db
from converters.errors import ConvertError
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from converters.operators import Conv
from converters.output_check import OutputCheck, check_outputs
from converters.pipeline import Conversion
from converters.tflite.writer import write_float_tflite
from edge.backends import open_model
from edge.backends.base import OpenedModel
from edge.tensors import F32


@pytest.fixture(scope="module")
def inputs(two_heads: Conversion) -> list[F32]:
    shape = two_heads.source.graph.input_shape
    random = np.random.default_rng(5)
    return [random.uniform(-1, 1, shape).astype(np.float32) for _ in range(3)]


def opened(folder: Path, name: str, data: bytes, scores: str = "") -> OpenedModel:
    (folder / name).write_bytes(data)
    return open_model(folder / name, exact_kernels=True, scores=scores)


def checked(
    graph: Graph, artifacts: dict[str, bytes], inputs: list[F32], folder: Path
) -> tuple[OutputCheck, ...]:
    """Hold `artifacts` against the float model of `graph`."""
    reference = opened(folder, "float", write_float(graph).SerializeToString(), graph.output)
    files = {kind: opened(folder, f"m.{kind}", data) for kind, data in artifacts.items()}
    return check_outputs(graph, reference, files, inputs)


def test_every_other_output_is_compared_as_a_caller_gets_it(
    two_heads: Conversion, inputs: list[F32], tmp_path: Path
) -> None:
    graph = two_heads.source.graph
    (check,) = checked(graph, dict(two_heads.artifacts), inputs, tmp_path)
    assert (check.name, check.shape, check.pictures) == ("features", (1, 8, 16, 16), 3)
    # The very same by hand, in the runtime that the converter's own code knows least.
    model = open_model(tmp_path / "m.tflite")
    wanted, found = [], []
    for x in inputs:
        model.input_view()[...] = model.spec.input.quantize(x.transpose(0, 2, 3, 1))
        found.append(model.run_all()["features"])
        reference = open_model(tmp_path / "float", scores="logits")
        reference.input_view()[...] = x
        wanted.append(reference.run_all()["features"])
    assert check.sqnr_db["tflite"] == pytest.approx(sqnr_db(np.stack(wanted), np.stack(found)))
    assert min(check.sqnr_db.values()) > 30


def test_a_model_of_scores_alone_has_nothing_to_compare(
    conversion: Conversion, tmp_path: Path
) -> None:
    assert checked(conversion.source.graph, {}, [], tmp_path) == ()


def test_what_computes_something_else_is_seen(
    two_heads: Conversion, inputs: list[F32], tmp_path: Path
) -> None:
    graph = two_heads.source.graph
    first = graph.producers["features"]
    assert isinstance(first.operator, Conv)
    turned = replace(first, operator=replace(first.operator, weight=-first.operator.weight))
    spoiled = graph.with_nodes([turned if node is first else node for node in graph.nodes])
    good, bad = (
        checked(graph, {"tflite": write_float_tflite(g, two_heads.card)}, inputs, tmp_path)[0]
        for g in (graph, spoiled)
    )
    assert good.sqnr_db["tflite"] > 100
    assert bad.sqnr_db["tflite"] < 3


@pytest.mark.parametrize("outputs", [("features", "logits"), ("logits", "features", "pooled")])
def test_other_outputs_than_the_sources_are_refused(
    two_heads: Conversion, inputs: list[F32], tmp_path: Path, outputs: tuple[str, ...]
) -> None:
    graph = two_heads.source.graph
    other = replace(graph, outputs=outputs, scores=outputs.index("logits"))
    artifacts = {"tflite": write_float_tflite(other, two_heads.card)}
    with pytest.raises(ConvertError, match=r"the tflite file gives .* where the source gives"):
        checked(graph, artifacts, inputs, tmp_path)


def test_what_is_not_finite_is_refused(
    two_heads: Conversion, inputs: list[F32], tmp_path: Path
) -> None:
    artifacts = {"tflite": write_float_tflite(two_heads.source.graph, two_heads.card)}
    with pytest.raises(ConvertError, match=r"source: output '\w+' is not finite for a picture"):
        checked(two_heads.source.graph, artifacts, [np.full_like(inputs[0], np.nan)], tmp_path)
