import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibration.histogram import BINS, ObserverError, StreamingHistogram
from edge.tensors import F32

VALUES = hnp.arrays(
    np.float32,
    st.integers(0, 60),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def f32(*values: float) -> F32:
    return np.array(values, np.float32)


def histogram_of(*arrays: F32, sample: int | None = None) -> StreamingHistogram:
    histogram = StreamingHistogram("t")
    for array in arrays:
        histogram.update(array, sample)
    return histogram


@given(VALUES, st.data())
@settings(deadline=None)
def test_state_depends_on_neither_order_nor_partition(values: F32, data: st.DataObject) -> None:
    shuffled = np.asarray(data.draw(st.permutations(list(values))), np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    parts = np.split(shuffled, cuts)
    whole = histogram_of(values)

    assert histogram_of(*parts) == whole
    merged = StreamingHistogram()
    for part in parts:
        merged = histogram_of(part).merge(merged)
    assert merged == whole


@given(st.lists(VALUES, max_size=3), VALUES)
@settings(deadline=None)
def test_another_process_gets_all_of_it(arrays: list[F32], more: F32) -> None:
    histogram = histogram_of(*arrays)
    copied = pickle.loads(pickle.dumps(histogram))  # noqa: S301
    assert copied == histogram
    assert copied.name == histogram.name
    assert copied.counts.dtype == histogram.counts.dtype
    copied.update(more)
    assert copied == histogram_of(*arrays, more)


def test_another_process_gets_it_in_few_bytes() -> None:
    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    histogram = histogram_of(values)
    assert len(pickle.dumps(histogram)) < histogram.counts.nbytes / 3


@given(VALUES)
@settings(deadline=None)
def test_counts_are_those_of_truncated_division(values: F32) -> None:
    histogram = histogram_of(values)
    expected: dict[int, int] = {}
    for value in values.tolist():
        k = int(value / 2.0**histogram.exponent)
        expected[k] = expected.get(k, 0) + 1
    found = {int(i) - BINS + 1: int(histogram.counts[i]) for i in np.flatnonzero(histogram.counts)}
    assert found == expected
    if values.size:
        assert (histogram.low, histogram.high) == (values.min(), values.max())
    assert histogram.size == values.size


def test_width_is_the_smallest_that_reaches_the_largest_value() -> None:
    assert histogram_of(f32(2047.9, -3)).width == 1.0
    assert histogram_of(f32(2048.0, -3)).width == 2.0
    assert histogram_of(f32(0.5, -2048.0)).width == 2.0


def test_zeros_need_no_width() -> None:
    assert histogram_of(f32(0.25), f32(0.0)) == histogram_of(f32(0.25, 0.0))
    assert histogram_of(f32(0.0), f32(0.25)).width == 2.0**-12


def test_merge_leaves_both_as_they_were() -> None:
    one, other = histogram_of(f32(1, 2)), histogram_of(f32(-500))
    one.merge(other)
    assert one == histogram_of(f32(1, 2))
    assert other == histogram_of(f32(-500))


def test_different_values_make_different_states() -> None:
    assert histogram_of(f32(1, 2)) != histogram_of(f32(1, 1.5, 2))
    assert histogram_of(f32(1, 1, 2)) != histogram_of(f32(1, 2, 2))


def test_centres_lie_in_their_bins_and_within_the_values() -> None:
    histogram = histogram_of(f32(-1.5, 6.0))
    centres = histogram.centres()
    assert centres[BINS - 1] == 0.0
    assert (centres.min(), centres.max()) == (-1.5, 6.0)
    again = np.trunc(centres / histogram.width)
    inside = (centres > -1.5) & (centres < 6.0)
    np.testing.assert_array_equal(again[inside], np.arange(1 - BINS, BINS)[inside])


def test_sampling_keeps_the_extremes_and_visits_every_column() -> None:
    values = np.zeros((3, 32, 64), np.float32)
    values[0, 0, 1], values[1, 5, 7] = -9.0, 11.0
    sampled = histogram_of(values, sample=100)
    assert (sampled.low, sampled.high, sampled.size) == (-9.0, 11.0, values.size)
    assert 90 <= sampled.counts.sum() <= 100
    # A stride that divided the row would see one column only, all or nothing.
    columns = np.broadcast_to(np.arange(64, dtype=np.float32), (96, 64))
    seen = np.flatnonzero(histogram_of(columns, sample=1000).counts)
    assert len(seen) == 64


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_values_without_a_range_are_refused_by_name(bad: float, word: str) -> None:
    histogram = StreamingHistogram("conv_7")
    values = np.ones(1000, np.float32)
    values[501] = bad
    with pytest.raises(ObserverError, match=rf"'conv_7' holds {word}"):
        histogram.update(values, sample=10)
    assert histogram == StreamingHistogram()
