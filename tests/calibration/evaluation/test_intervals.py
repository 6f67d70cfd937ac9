import numpy as np
import pytest
from scipy import stats

from calibration.evaluation.intervals import CONFIDENCE, RESAMPLES, bootstrap_mean
from edge.tensors import Array

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    "values",
    [
        RNG.random(300) < 0.8,
        RNG.choice([-1, 0, 1], 500, p=[0.04, 0.94, 0.02]),
        RNG.random(40) < 0.5,
    ],
    ids=["right or wrong", "paired differences", "few images"],
)
def test_it_is_the_percentile_bootstrap(values: Array) -> None:
    found = bootstrap_mean(values)
    many = stats.bootstrap(
        (np.asarray(values, float),),
        np.mean,
        n_resamples=20_000,
        batch=1000,
        method="percentile",
        confidence_level=CONFIDENCE,
        random_state=2,
    )
    assert found.value == pytest.approx(values.mean())
    # An end is a quantile of 2000 draws: within some 4 of its own standard errors, which for the
    # normal distribution at 2.5 % are 2.7 deviations / sqrt(draws), and one image of rounding.
    near = 4 * 2.7 * many.standard_error / np.sqrt(RESAMPLES) + 1 / len(values)
    assert found.low == pytest.approx(many.confidence_interval.low, abs=near)
    assert found.high == pytest.approx(many.confidence_interval.high, abs=near)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    truth, sets = 0.7, 400
    random = np.random.default_rng(3)
    found = [bootstrap_mean(random.random(200) < truth) for _ in range(sets)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    # 95 %, less about 1 for a percentile interval of 200 images; 400 sets tell it to +-2.2 (2 s).
    assert 0.91 <= covered <= 0.98


def test_pairing_narrows_the_interval() -> None:
    before = RNG.random(1000) < 0.75
    after = before.copy()
    after[:6] ^= True
    paired = bootstrap_mean(after.astype(int) - before)
    alone = bootstrap_mean(after)
    assert paired.high - paired.low < (alone.high - alone.low) / 4


def test_it_is_the_same_every_time_and_in_any_order() -> None:
    values = RNG.random(100) < 0.4
    assert bootstrap_mean(values) == bootstrap_mean(values) == bootstrap_mean(values[::-1])


def test_where_nothing_differs_there_is_no_interval() -> None:
    found = bootstrap_mean(np.ones(7))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
