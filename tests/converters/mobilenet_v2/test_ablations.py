"""MobileNetV2 without what its paper argues for: built, run, described, and converted to int8."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from calibration.progress import silent
from converters.mobilenet_v2.architecture import (
    ACTIVATIONS,
    BOTTLENECKS,
    Activation,
    Architecture,
    Bottleneck,
    Stage,
)
from converters.mobilenet_v2.build import build, initial_weights
from converters.pipeline import convert
from converters.request import Request
from converters.structure.block import BENT, INVERTED, LINEAR_SEPARABLE, OTHER, SEPARABLE
from converters.structure.describe import describe, to_text
from converters.structure.read import read_network
from edge.tensors import F32
from tests.converters.mobilenet_v2.test_build import images_for, run, trained_weights

STAGES = (Stage(1, 16, 1, 1), Stage(3, 24, 2, 2))
SMALL = Architecture(0.35, (32, 24), classes=5, stages=STAGES)
ABLATIONS: dict[str, dict[str, Any]] = {
    "relu": {"activation": "relu"},
    "relu6 bottleneck": {"bottleneck": "relu"},
    "relu bottleneck": {"activation": "relu", "bottleneck": "relu"},
    "no shortcut": {"shortcut": False},
    "expansion 1": {"expansion": 1},
    "expansion 4": {"expansion": 4},
}
each_ablation = pytest.mark.parametrize("change", ABLATIONS.values(), ids=ABLATIONS)


def inner_values(model: onnx.ModelProto, images: F32) -> dict[str, F32]:
    """Return every value that ONNX Runtime computes, by its name."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    names = [output for node in model.graph.node for output in node.output]
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(names, {"input": images}), strict=True))


@each_ablation
def test_runtime_and_reference_evaluator_agree(change: dict[str, Any]) -> None:
    network = replace(SMALL, **change)
    model = build(network, trained_weights(network))
    images = images_for(network)
    expected = ReferenceEvaluator(model).run(None, {"input": images})
    assert isinstance(expected, list)
    np.testing.assert_allclose(run(model, images), expected[0], atol=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_what_leaves_a_bottleneck(activation: Activation, bottleneck: Bottleneck) -> None:
    network = replace(SMALL, activation=activation, bottleneck=bottleneck)
    weights = trained_weights(network)
    for name in weights:
        if name.endswith(".gamma"):  # so that values above 6 are there to be cut
            weights[name] *= 5
    values = inner_values(build(network, weights), images_for(network))
    ends = "norm" if bottleneck == "linear" else activation
    for block in (1, 2, 3):
        end = values[f"block{block}.project.{ends}"]
        assert (end.min() < 0) == (bottleneck == "linear")
        assert (end == 0).any() == (bottleneck == "relu")
        assert (end.max() > 6) == (bottleneck == "linear" or activation == "relu")
    inside = values[f"block2.expand.{activation}"]
    assert inside.min() == 0
    assert (inside.max() > 6) == (activation == "relu")
    # The sum is behind the activation, which does not cut it.
    before, after = f"block2.project.{ends}", f"block3.project.{ends}"
    np.testing.assert_array_equal(values["block3.add"], values[before] + values[after])


def test_without_shortcuts_nothing_is_added() -> None:
    def operators(network: Architecture) -> Counter[str]:
        nodes = build(network, initial_weights(network, 0)).graph.node
        return Counter(node.op_type for node in nodes)

    plain, without = operators(SMALL), operators(replace(SMALL, shortcut=False))
    assert plain - without == {"Add": 1}
    assert not without - plain


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, ""),
        ({"activation": "relu"}, ", but with ReLU, not ReLU6"),
        ({"bottleneck": "relu"}, ", but with ReLU6 behind 17 of 17 bottlenecks"),
        ({"shortcut": False}, ", but with 0 of 10 shortcuts"),
        ({"expansion": 1}, ", but with expansion 1, not 6"),
        (
            {"expansion": 2, "shortcut": False},
            ", but with expansion 2, not 6; with 0 of 10 shortcuts",
        ),
    ],
)
def test_a_description_says_what_sets_a_network_apart(
    change: dict[str, Any], differs: str, tmp_path: Path
) -> None:
    network = Architecture(0.35, (32, 32), 5, **change)
    path = tmp_path / "m.onnx"
    path.write_bytes(build(network, initial_weights(network, 0)).SerializeToString())
    found = describe(read_network(path), "m")
    first, *_ = to_text(found).splitlines()
    assert first == f"m: MobileNetV2 0.35, as in the paper's table 2{differs}"
    assert found.table.cost.multiply_adds == network.multiply_adds()


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, [LINEAR_SEPARABLE, INVERTED, INVERTED]),
        ({"bottleneck": "relu"}, [SEPARABLE, BENT, BENT]),
        ({"expansion": 1}, [LINEAR_SEPARABLE] * 3),
        ({"bottleneck": "relu", "expansion": 1}, [SEPARABLE] * 3),
    ],
)
def test_only_a_linear_bottleneck_is_called_one(
    change: dict[str, Any], kinds: list[str], tmp_path: Path
) -> None:
    network = replace(SMALL, **change)
    path = tmp_path / "m.onnx"
    path.write_bytes(build(network, initial_weights(network, 0)).SerializeToString())
    found = describe(read_network(path), "m")
    blocks = [b for row in found.table.rows for b in row.blocks if b.kind != OTHER]
    assert [block.kind for block in blocks] == kinds
    assert [bool(block.shortcut) for block in blocks] == [False, False, True]
    # t is what is inside to what comes in, also where more goes out than comes in.
    inside = 1 if "expansion" in change else 3
    assert [block.expansion for block in blocks] == [1, inside, inside]


@each_ablation
def test_each_converts_to_int8(change: dict[str, Any], tmp_path: Path) -> None:
    network = replace(SMALL, **change)
    model = tmp_path / "m.onnx"
    model.write_bytes(build(network, trained_weights(network)).SerializeToString())
    made = convert(Request(model, tmp_path, samples=12, optimize="none"), silent)
    kinds = [b.kind for row in describe(read_network(model), "m").table.rows for b in row.blocks]
    for kind, data in made.artifacts.items():
        # A dozen layers of random weights leave three bits of signal.
        decibels = made.verification.scores[kind].sqnr_db
        assert decibels is not None
        assert decibels > 18
        assert made.inventories[kind].in_float == ()
        written = tmp_path / f"m.int8.{kind}"
        written.write_bytes(data)
        found = describe(read_network(written), "m").table.rows
        assert [block.kind for row in found for block in row.blocks] == kinds
    # Every activation is the saturation of what it follows.
    nodes = onnx.load_from_string(made.artifacts["onnx"]).graph.node
    assert not {"Clip", "Relu"} & {node.op_type for node in nodes}
