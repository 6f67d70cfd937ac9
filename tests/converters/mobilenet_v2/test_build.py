from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from converters.mobilenet_v2.architecture import PADDINGS, Architecture, Padding, Stage
from converters.mobilenet_v2.build import IR_VERSION, WeightError, build, initial_weights
from edge.card import CARD_KEY, ModelCard
from edge.preprocess import PreprocessSpec
from edge.tensors import F32

SMALL = Architecture(0.35, (32, 24), classes=5, stages=(Stage(1, 16, 1, 1), Stage(3, 24, 2, 2)))


def run(model: onnx.ModelProto, images: F32) -> F32:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    logits: F32 = session.run(["logits"], {"input": images})[0]
    return logits


def images_for(architecture: Architecture, count: int = 1) -> F32:
    shape = (count, architecture.channels, *architecture.image_hw)
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def trained_weights(architecture: Architecture) -> dict[str, F32]:
    """Initial weights with BatchNorms that are not the identity."""
    random = np.random.default_rng(2)
    weights = initial_weights(architecture, 0)
    for name, array in weights.items():
        if name.endswith((".gamma", ".var")):
            weights[name] = random.uniform(0.5, 1.5, array.shape).astype(np.float32)
        elif name.endswith((".beta", ".mean", ".bias")):
            weights[name] = random.normal(0, 0.3, array.shape).astype(np.float32)
    return weights


@pytest.mark.parametrize("padding", PADDINGS)
def test_runtime_and_reference_evaluator_agree(padding: Padding) -> None:
    network = Architecture(0.35, (31, 24), 5, padding=padding, stages=SMALL.stages)
    model = build(network, trained_weights(network))
    images = images_for(network)
    expected = ReferenceEvaluator(model).run(None, {"input": images})
    assert isinstance(expected, list)
    np.testing.assert_allclose(run(model, images), expected[0], atol=1e-4)


def test_the_whole_network_builds_and_runs() -> None:
    model = build(Architecture(), initial_weights(Architecture(), 3))
    onnx.checker.check_model(model, full_check=True)
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators == {
        "Conv": 52,
        "BatchNormalization": 52,
        "Clip": 35,
        "Add": 10,
        "GlobalAveragePool": 1,
        "Flatten": 1,
        "Gemm": 1,
    }
    logits = run(model, images_for(Architecture()))
    assert logits.shape == (1, 1000)
    assert np.isfinite(logits).all()
    assert logits.std() > 0
    assert model.ir_version == IR_VERSION


def test_a_gray_input_and_a_free_batch() -> None:
    network = Architecture(0.35, (32, 32), 4, channels=1, stages=SMALL.stages)
    weights = trained_weights(network)
    images = images_for(network, 3)
    together = run(build(network, weights, batch="batch"), images)
    assert together.shape == (3, 4)
    one = build(network, weights)
    apart = np.concatenate([run(one, image[None]) for image in images])
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_the_shortcut_adds_the_input_of_its_own_block() -> None:
    model = build(SMALL, initial_weights(SMALL, 0))
    adds = {node.name: list(node.input) for node in model.graph.node if node.op_type == "Add"}
    # Block 1 has stride 1, but 16 channels come in and 8 go out.
    assert adds == {"block3.add": ["block2.project.norm", "block3.project.norm"]}


def test_the_card_travels_inside() -> None:
    card = ModelCard("small", PreprocessSpec(mean=(0.5,), std=(0.5,)), tuple("abcde"))
    model = build(SMALL, initial_weights(SMALL, 0), card)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    assert ModelCard.from_json(stored[CARD_KEY]) == card
    assert not build(SMALL, initial_weights(SMALL, 0)).metadata_props


def test_initial_weights_follow_their_seed_and_he() -> None:
    network = Architecture()
    first, again, other = (initial_weights(network, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["head.weight"], other["head.weight"])
    # He, fan-out: 1280 channels of a 1x1 kernel; 410 thousand draws give the third digit.
    assert first["head.weight"].std() == pytest.approx((2 / 1280) ** 0.5, rel=0.01)
    # Depthwise: one channel out for each in, 9 places.
    assert first["block17.depthwise.weight"].std() == pytest.approx((2 / 9) ** 0.5, rel=0.03)
    assert (first["stem.gamma"] == 1).all()
    assert (first["stem.mean"] == 0).all()


def test_all_wrong_weights_are_named_at_once() -> None:
    weights = initial_weights(SMALL, 0)
    del weights["stem.weight"]
    weights["stem.scale"] = np.ones(8, np.float32)
    weights["stem.gamma"] = np.ones(7, np.float32)
    weights["head.beta"] = np.zeros(1280, np.float64)
    weights["classifier.bias"] = np.full(5, np.nan, np.float32)
    with pytest.raises(WeightError) as refusal:
        build(SMALL, weights)
    message = str(refusal.value)
    assert message.startswith("5 of the weights")
    assert "stem.weight is missing" in message
    assert "stem.scale belongs to no layer" in message
    assert "stem.gamma has shape [7], not [16]" in message
    assert "head.beta holds float64" in message
    assert "classifier.bias holds values that are not finite" in message
