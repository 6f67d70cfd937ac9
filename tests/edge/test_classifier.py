from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.backends.base import BackendError
from edge.card import CardError, ModelCard
from edge.classifier import ClassifierError, TopK, choose_labels, choose_preprocess
from edge.preprocess import PRESETS
from edge.tensors import TensorSpec
from tests.edge.fakes import model_spec

CARD = ModelCard("tiny", PRESETS["tf"], ("a", "b", "c"))


def output(classes: int, dtype: str = "float32", scale: float = 1.0, zero: int = 0) -> TensorSpec:
    return TensorSpec("scores", (1, classes), dtype, scale, zero)


@settings(deadline=None)
@given(
    scores=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30),
    k=st.integers(1, 40),
)
def test_logits_become_softmax_best_first(scores: list[float], k: int) -> None:
    logits = np.array(scores, np.float32)
    guesses = TopK(output(len(scores)), (), k).run(logits)
    # Sorting pairs puts equal scores into the order of their classes.
    order = [i for _, i in sorted((-score, i) for i, score in enumerate(logits.tolist()))]
    assert [guess.index for guess in guesses] == order[:k]
    if abs(logits.sum() - 1) < 1e-2 and logits.min() >= 0:
        return  # may be taken for probabilities
    exponents = np.exp(logits.astype(np.float64) - logits.max())
    wanted = exponents / exponents.sum()
    for guess in guesses:
        assert guess.confidence == pytest.approx(wanted[guess.index], rel=1e-4, abs=1e-12)


@settings(deadline=None)
@given(scores=st.lists(st.integers(-128, 127), min_size=1, max_size=30), k=st.integers(1, 5))
def test_quantized_logits(scores: list[int], k: int) -> None:
    q = np.array(scores, np.int8)
    spec = output(len(scores), "int8", 0.17, 40)
    guesses = TopK(spec, (), k).run(q)
    assert [guess.index for guess in guesses] == np.argsort(-q.astype(int), kind="stable")[
        :k
    ].tolist()
    exponents = np.exp(0.17 * (q.astype(np.float64) - q.max()))
    assert guesses[0].confidence == pytest.approx(1 / exponents.sum(), rel=1e-4)


@pytest.mark.parametrize(("dtype", "zero"), [("int8", -128), ("uint8", 0)])
def test_a_quantized_softmax_is_taken_as_it_is(dtype: str, zero: int) -> None:
    q = (np.array([64, 128, 32, 32]) + zero).astype(dtype)
    guesses = TopK(output(4, dtype, 1 / 256, zero), (), 2).run(q)
    assert [(guess.index, guess.confidence) for guess in guesses] == [(1, 0.5), (0, 0.25)]


def test_a_float_softmax_is_taken_as_it_is() -> None:
    guesses = TopK(output(3), ("x", "y", "z"), 3).run(np.array([0.2, 0.7, 0.1], np.float32))
    assert [guess.label for guess in guesses] == ["y", "x", "z"]
    assert [guess.confidence for guess in guesses] == pytest.approx([0.7, 0.2, 0.1])


def test_without_labels_classes_have_numbers() -> None:
    assert TopK(output(2), (), 1).run(np.array([1, 5], np.float32))[0].label == "class 1"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error(bad: float) -> None:
    with pytest.raises(BackendError, match="not finite"):
        TopK(output(3), (), 1).run(np.array([0, bad, 1], np.float32))


def test_huge_and_minus_infinite_logits_do_not_overflow() -> None:
    scores = np.array([3e38, 3e38, -np.inf], np.float32)
    assert TopK(output(3), (), 1).run(scores)[0].confidence == pytest.approx(0.5)


def test_labels_come_from_the_file_then_from_the_card(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("x\ny\nz\n")
    assert choose_labels(model_spec(CARD), path) == ("x", "y", "z")
    assert choose_labels(model_spec(CARD), None) == ("a", "b", "c")
    assert choose_labels(model_spec(), None) == ()
    path.write_text("x\ny\n")
    with pytest.raises(CardError, match="2 labels, but the model has 3 classes"):
        choose_labels(model_spec(CARD), path)
    with pytest.raises(CardError, match="3 labels, but the model has 4 classes"):
        choose_labels(model_spec(CARD, classes=4), None)


def test_preprocessing_comes_from_the_card_or_is_named() -> None:
    assert choose_preprocess(model_spec(CARD), None) == PRESETS["tf"]
    assert choose_preprocess(model_spec(), "imagenet") == PRESETS["imagenet"]
    with pytest.raises(ClassifierError, match=r"pass --preprocess imagenet\|tf\|unit\|none"):
        choose_preprocess(model_spec(), None)
    with pytest.raises(ClassifierError, match="leave out --preprocess"):
        choose_preprocess(model_spec(CARD), "tf")
