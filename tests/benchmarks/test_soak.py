from __future__ import annotations

import numpy as np
import pytest

from edge.latency import hdr
from edge.latency.histogram import Histogram
from tests.benchmarks.soak import HISTOGRAM_BYTES, predict_histogram


@pytest.mark.parametrize("median_ns", [2_000, 300_000, 20_000_000])
@pytest.mark.parametrize("spread", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("frames", [300, 3_000, 60_000])
def test_a_histogram_takes_what_its_formula_says(
    median_ns: float, spread: float, frames: int
) -> None:
    rng = np.random.default_rng(0)
    histogram = Histogram()
    taken_ns = median_ns * np.exp(spread * rng.standard_normal(frames))
    histogram.record_many(taken_ns.astype(np.int64))
    predicted = predict_histogram(*histogram.recorded())
    assert 0.8 < predicted / len(hdr.encode(histogram)) < 1.2


def test_a_byte_for_each_bucket_is_not_what_it_takes() -> None:
    histogram = Histogram()
    taken_ns = 300_000 * np.exp(0.3 * np.random.default_rng(0).standard_normal(3_000))
    histogram.record_many(taken_ns.astype(np.int64))
    index, _ = histogram.recorded()
    assert (HISTOGRAM_BYTES + len(index)) / len(hdr.encode(histogram)) > 1.4
