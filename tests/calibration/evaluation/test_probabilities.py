import numpy as np
import pytest

from calibration.evaluation.probabilities import is_distribution, log_probabilities
from edge.tensors import F32, Array

LOGITS = np.random.default_rng(0).normal(0, 3, (1, 1000))


def softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum())


def f32(*values: float) -> F32:
    return np.array([values], np.float32)


SMOOTH = softmax(LOGITS).astype(np.float32)


@pytest.mark.parametrize(
    "scores",
    [
        SMOOTH,
        np.clip(np.round(SMOOTH * 256), 0, 255).astype(np.float32) / 256,
        f32(255 / 256, 0, 0),
        f32(0.5, 0.5),
        f32(1.0, 0.0),
    ],
    ids=["float", "uint8", "sure", "even", "one"],
)
def test_probabilities_are_known(scores: F32) -> None:
    assert is_distribution(scores)


@pytest.mark.parametrize(
    "scores",
    [
        LOGITS.astype(np.float32),
        np.maximum(LOGITS, 0).astype(np.float32),
        f32(0.9, 0.8, 0.1),
        f32(0.0, 0.0, 0.0),
        f32(1.2, -0.2),
        f32(0.4, 0.4),
        (1 / (1 + np.exp(-LOGITS))).astype(np.float32),
    ],
    ids=["logits", "ReLU", "sums to 1.8", "nothing", "negative", "sums to 0.8", "sigmoids"],
)
def test_other_scores_are_not_taken_for_them(scores: F32) -> None:
    assert not is_distribution(scores)


def test_logarithms_of_what_is_not_rounded() -> None:
    np.testing.assert_allclose(log_probabilities(SMOOTH), np.log(softmax(LOGITS)), atol=1e-5)


def test_what_rounding_took_is_shared_by_those_it_took_it_from() -> None:
    found = np.exp(log_probabilities(f32(0.5, 0.25, 0.0, 0.0)))
    np.testing.assert_allclose(found, [[0.5, 0.25, 0.125, 0.125]])
    # At least half a step, so that no class is impossible; the sum stays 1.
    found = np.exp(log_probabilities(f32(1.0, 0.0, 0.0)))
    np.testing.assert_allclose(found, np.array([[1, 1 / 1024, 1 / 1024]]) / (1 + 1 / 512))


def test_a_choice_of_classes_adds_up_to_1_again() -> None:
    assert np.exp(log_probabilities(f32(0.3, 0.1))) == pytest.approx(np.array([[0.75, 0.25]]))
    assert np.exp(log_probabilities(f32(0.0, 0.0))) == pytest.approx(np.array([[0.5, 0.5]]))
