"""The bucket arithmetic against HdrHistogram's own, the percentiles against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.latency.histogram import LATENCY, Histogram, HistogramError, Layout

VALUES = st.lists(st.integers(0, LATENCY.highest_ns), min_size=1, max_size=200)
LAYOUTS = st.builds(
    Layout,
    lowest_ns=st.sampled_from([1, 2, 1000, 1023, 1024]),
    highest_ns=st.sampled_from([36_000_000, 10**9, 3600 * 10**9]),
    digits=st.integers(1, 4),
)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record_many(np.array(values, np.int64))
    return histogram


@settings(deadline=None)
@given(LAYOUTS, st.data())
def test_buckets_are_those_of_hdrhistogram(layout: Layout, data: st.DataObject) -> None:
    oracle = HdrHistogram(layout.lowest_ns, layout.highest_ns, layout.digits)
    assert layout.counts_length == oracle.counts_len
    value = data.draw(st.integers(0, layout.highest_ns))
    index = layout.index(np.array([value]))
    assert index[0] == oracle.get_counts_array_index(value)
    low, high = layout.bounds(index)
    assert low[0] == oracle.get_lowest_equivalent_value(value)
    assert high[0] == oracle.get_highest_equivalent_value(value)


@settings(deadline=None)
@given(LAYOUTS, st.data())
def test_a_bucket_keeps_the_digits_that_were_asked_for(layout: Layout, data: st.DataObject) -> None:
    value = data.draw(st.integers(layout.lowest_ns * 10**layout.digits, layout.highest_ns))
    low, high = layout.bounds(layout.index(np.array([value])))
    assert low[0] <= value <= high[0]
    assert (high[0] - low[0]) * 10**layout.digits <= value


def test_the_latency_layout_is_as_small_and_as_fine_as_documented() -> None:
    assert LATENCY.counts_length == 29_696
    assert LATENCY.highest_ns == 86_400_000_000_000
    low, high = LATENCY.bounds(LATENCY.index(np.array([1_000, 20_000_000])))
    assert (high - low).tolist() == [511, 16_383]


@settings(deadline=None)
@given(VALUES, st.floats(0, 100))
def test_percentiles_are_nearest_rank(values: list[int], percent: float) -> None:
    exact = int(np.percentile(values, percent, method="inverted_cdf"))
    low, high = LATENCY.bounds(LATENCY.index(np.array([exact])))
    assert low[0] <= filled(values).percentile(percent) <= high[0]


def test_999_of_1000_are_at_most_the_999th() -> None:
    histogram = filled([1_000_000] * 999 + [5_000_000_000])
    assert histogram.percentile(99.9) < 1_001_000
    assert histogram.percentile(99.91) == histogram.percentile(100) == 5_000_000_000


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan")])
def test_percentiles_outside_their_range_are_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="allowed: 0 to 100"):
        filled([1]).percentile(percent)


def test_an_empty_histogram_answers_zero() -> None:
    histogram = Histogram()
    histogram.record_many(np.empty(0, np.int64))
    assert (histogram.count, histogram.percentile(99), histogram.mean()) == (0, 0, 0.0)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_merging_loses_nothing(a: list[int], b: list[int]) -> None:
    merged, together = filled(a), filled(a + b)
    merged.merge(filled(b))
    assert np.array_equal(merged.counts, together.counts)
    assert (merged.count, merged.min_ns, merged.max_ns) == (len(a) + len(b), min(a + b), max(a + b))


def test_merging_an_empty_one_keeps_the_minimum() -> None:
    histogram = filled([7_000_000])
    histogram.merge(Histogram())
    assert histogram.min_ns == 7_000_000


def test_other_layouts_are_not_merged() -> None:
    with pytest.raises(HistogramError, match="cannot be merged"):
        Histogram().merge(Histogram(Layout(1, 1000, 3)))


def test_values_out_of_range_are_held_at_the_border_and_counted() -> None:
    histogram = filled([-5, 2_000_000, LATENCY.highest_ns + 1])
    assert (histogram.negative, histogram.above, histogram.count) == (1, 1, 3)
    assert (histogram.min_ns, histogram.max_ns) == (0, LATENCY.highest_ns)
    copy = histogram.copy()
    assert (copy.negative, copy.above) == (1, 1)


@settings(deadline=None)
@given(st.lists(st.integers(10**6, 10**10), min_size=1, max_size=100))
def test_the_mean_is_within_the_buckets_width(values: list[int]) -> None:
    assert filled(values).mean() == pytest.approx(np.mean(values), rel=0.5e-3)


def test_where_indices_have_32_bits_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    histogram = filled([1_000_000, 3_600 * 10**9])
    flatnonzero = np.flatnonzero
    monkeypatch.setattr(np, "flatnonzero", lambda counts: flatnonzero(counts).astype(np.int32))
    index, _ = histogram.recorded()
    assert index.dtype == np.int64
    assert histogram.percentile(100) == 3_600 * 10**9


def test_a_copy_does_not_follow() -> None:
    histogram = filled([1_000_000])
    copy = histogram.copy()
    histogram.record_many(np.array([9_000_000]))
    assert (copy.count, copy.max_ns) == (1, 1_000_000)


@pytest.mark.parametrize(
    ("lowest", "highest", "digits", "message"),
    [
        (1, 1000, 0, "0 digits"),
        (1, 1000, 6, "6 digits"),
        (0, 1000, 3, "from 0"),
        (600, 1000, 3, "doubling"),
        (1, 1 << 53, 3, "at most"),
        (1, 1 << 52, 5, "too large"),
        (1 << 40, 1 << 52, 5, "too large"),
    ],
)
def test_impossible_layouts_are_refused(
    lowest: int, highest: int, digits: int, message: str
) -> None:
    with pytest.raises(HistogramError, match=message):
        Layout(lowest, highest, digits)


def test_the_largest_possible_value_has_a_bucket() -> None:
    layout = Layout(1, 1 << 52, 3)
    index = layout.index(np.array([1 << 52]))
    low, high = layout.bounds(index)
    assert index[0] < layout.counts_length
    assert low[0] <= 1 << 52 <= high[0]
