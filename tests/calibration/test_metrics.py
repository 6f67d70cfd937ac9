import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibration import metrics
from edge.tensors import Array

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(3, 2, (20, 10))
TEST = REFERENCE + RNG.normal(0, 0.1, (20, 10))


@given(
    hnp.arrays(
        np.int8, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.integers(0, 3)
    ),
    st.data(),
)
@settings(deadline=None)
def test_ranks_are_places_in_a_stable_sort(scores: Array, data: st.DataObject) -> None:
    count, width = scores.shape
    true = np.array(data.draw(st.lists(st.integers(0, width - 1), min_size=count, max_size=count)))
    orders = [np.argsort(-row, kind="stable").tolist() for row in scores]
    expected = [order.index(k) for order, k in zip(orders, true, strict=True)]
    np.testing.assert_array_equal(metrics.ranks(scores, true), expected)
    np.testing.assert_array_equal(metrics.ranks(scores, true) == 0, scores.argmax(axis=1) == true)


def test_top_k_of_known_scores() -> None:
    scores = np.array([[1, 5, 3], [9, 0, 1], [2, 4, 6], [7, 8, 9]])
    true = np.array([1, 1, 1, 0])
    assert [metrics.top_k(scores, true, k) for k in (1, 2, 3)] == [0.25, 0.5, 1.0]


def test_agreement_of_known_scores() -> None:
    other = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]])
    same = np.array([[0, 9, 8], [7, 0, 0], [1, 2, 0], [0, 0, 3]])
    assert metrics.agreement(other, same) == 0.5


def test_sqnr_of_known_noise() -> None:
    reference = np.array([[3.0, 4.0], [0.0, 0.0]])
    test = reference * 1.1
    assert metrics.sqnr_db(reference, test) == pytest.approx(20.0)
    # Centred: (-0.5, 0.5) and (-0.55, 0.55).
    assert metrics.centred_sqnr_db(reference, test) == pytest.approx(20.0)


def test_centring_forgets_a_constant_of_each_image() -> None:
    offset = RNG.normal(0, 50, (20, 1))
    assert metrics.centred_sqnr_db(REFERENCE, TEST + offset) == pytest.approx(
        metrics.centred_sqnr_db(REFERENCE, TEST)
    )
    assert metrics.centred_sqnr_db(REFERENCE, REFERENCE + 1) > 200
    assert metrics.sqnr_db(REFERENCE, TEST + offset) < 0
    by_hand = REFERENCE - REFERENCE.mean(axis=1, keepdims=True)
    noise = by_hand - (TEST - TEST.mean(axis=1, keepdims=True))
    expected = 10 * math.log10((by_hand**2).sum() / (noise**2).sum())
    assert metrics.centred_sqnr_db(REFERENCE, TEST) == pytest.approx(expected)


def test_energies_add_up_over_images() -> None:
    whole = metrics.centred_energies(REFERENCE, TEST)
    parts = [metrics.centred_energies(REFERENCE[i : i + 1], TEST[i : i + 1]) for i in range(20)]
    assert np.sum(parts, axis=0) == pytest.approx(whole)


def test_sums_do_not_lose_float32() -> None:
    reference = np.full((1, 100_000), 1000.0, np.float32)
    test = reference + np.float32(2**-10)
    expected = 20 * math.log10(1000 / 2**-10)
    assert metrics.sqnr_db(reference, test) == pytest.approx(expected, abs=1e-6)


def test_the_ends_of_decibels() -> None:
    zero = np.zeros((2, 3))
    assert metrics.sqnr_db(REFERENCE, REFERENCE) == math.inf
    assert metrics.sqnr_db(zero, zero) == math.inf
    assert metrics.sqnr_db(zero, zero + 1) == -math.inf


def kl(reference: Array, test: Array) -> Array:
    return metrics.divergences(metrics.log_softmax(reference), metrics.log_softmax(test))


def test_kl_divergence_of_known_distributions() -> None:
    p, q = (
        np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]),
        np.array([[0.25, 0.5, 0.25], [0.1, 0.8, 0.1]]),
    )
    expected = (0.5 * math.log(2) - 0.25 * math.log(2)) / 2
    assert kl(np.log(p) + 7, np.log(q)) == pytest.approx([2 * expected, 0])
    assert kl(np.log(p), np.log(p) - 3) == pytest.approx(0, abs=1e-12)


def test_kl_divergence_survives_large_logits() -> None:
    sure, other = np.array([[1e4, 0.0]]), np.array([[0.0, 1e4]])
    assert kl(sure, other) == pytest.approx(1e4)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-50, 50, width=32)))
@settings(deadline=None)
def test_kl_divergence_is_never_negative(logits: Array) -> None:
    assert (kl(logits, logits[::-1]) >= 0).all()
    assert (kl(logits, logits) == 0).all()


@pytest.mark.parametrize(
    "metric",
    [
        metrics.agreement,
        metrics.sqnr_db,
        metrics.centred_sqnr_db,
        metrics.divergences,
    ],
)
def test_scores_of_different_shapes_are_refused(metric: object) -> None:
    assert callable(metric)
    with pytest.raises(metrics.MetricError, match=r"\[20, 10\] and \[20, 9\] cannot be compared"):
        metric(REFERENCE, TEST[:, :9])
