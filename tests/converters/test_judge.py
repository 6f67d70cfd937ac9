import numpy as np
import pytest

from converters.judge import Verdict


def test_what_is_better_by_chance_is_not_better() -> None:
    random = np.random.default_rng(0)
    signal, noise = np.full(16, 100.0), random.uniform(1, 2, 16)
    old = Verdict(signal, noise)
    assert Verdict(signal, noise * 0.9).is_better_than(old)
    assert not Verdict(signal, noise).is_better_than(old)
    assert not Verdict(signal, noise * 1.1).is_better_than(old)
    lucky = noise + random.normal(0, 0.5, 16)
    lucky -= lucky.mean() - noise.mean() + 0.05
    assert Verdict(signal, lucky).sqnr_db > old.sqnr_db
    assert not Verdict(signal, lucky).is_better_than(old)
    assert not Verdict(signal, noise * np.nan).is_better_than(old)


def test_a_verdict_in_decibels() -> None:
    assert Verdict(np.array([100.0, 300.0]), np.array([1.0, 3.0])).sqnr_db == pytest.approx(20)
