import json
import math
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibration.histogram import ObserverError, StreamingHistogram
from calibration.observers import (
    RULES,
    Observer,
    Range,
    RangeTable,
    mean_squared_error,
    min_max,
    observe,
    percentile,
)
from edge.tensors import F32


def histogram_of(values: F32) -> StreamingHistogram:
    histogram = StreamingHistogram("t")
    histogram.update(values)
    return histogram


def squared_error(values: F32, low: float, high: float, levels: int = 256) -> float:
    """Quantize and dequantize the values themselves, in float64."""
    scale = (high - low) / (levels - 1)
    zero_point = round(-low / scale)
    q = np.clip(np.rint(values.astype(np.float64) / scale) + zero_point, 0, levels - 1)
    return float(np.sum(((q - zero_point) * scale - values) ** 2))


def brute_force(values: F32, levels: int = 256) -> float:
    """Return the least error over a dense grid of both ends."""
    fractions = np.concatenate([np.linspace(0.02, 1, 50), np.geomspace(1 / 64, 0.02, 8)])
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    lows = low * fractions if low else [0.0]
    highs = high * fractions if high else [0.0]
    return min(squared_error(values, a, b, levels) for a in lows for b in highs)


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator], F32]] = {
    "normal": lambda r: r.normal(0, 1, 4000).astype(np.float32),
    "shifted": lambda r: r.normal(1, 1, 4000).astype(np.float32),
    "laplace": lambda r: r.laplace(0, 0.01, 4000).astype(np.float32),
    "relu": lambda r: np.maximum(r.normal(0, 2, 4000), 0).astype(np.float32),
    "relu6": lambda r: np.clip(r.normal(0, 5, 4000), 0, 6).astype(np.float32),
    "negative": lambda r: -r.exponential(100, 4000).astype(np.float32),
    "outlier": lambda r: np.append(r.normal(0, 1, 3999), 20).astype(np.float32),
    "outliers": lambda r: np.append(r.normal(0, 1, 3998), [20, -15]).astype(np.float32),
    "student": lambda r: r.standard_t(3, 4000).astype(np.float32),
    "bytes": lambda r: (r.integers(0, 256, 4000) / 127.5 - 1).astype(np.float32),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_mean_squared_error_is_the_least_that_brute_force_finds(name: str) -> None:
    values = DISTRIBUTIONS[name](np.random.default_rng(7))
    chosen = mean_squared_error(histogram_of(values))
    # The bins hold some 8 values a step, so that the error of a choice is known to a few percent;
    # of "bytes" nothing is lost at all with the whole range, and next to nothing may be.
    allowed = 1.05 * brute_force(values) + 1e-3 * squared_error(values, -1.0, 1.0)
    assert squared_error(values, chosen.low, chosen.high) <= allowed


@pytest.mark.parametrize("levels", [16, 256])
def test_fewer_levels_clip_more(levels: int) -> None:
    values = DISTRIBUTIONS["normal"](np.random.default_rng(3))
    chosen = mean_squared_error(histogram_of(values), levels)
    assert squared_error(values, chosen.low, chosen.high, levels) <= 1.05 * brute_force(
        values, levels
    )
    if levels == 16:
        assert chosen.high < 0.9 * min_max(histogram_of(values)).high


def test_percentile_is_that_of_the_values() -> None:
    values = np.random.default_rng(5).normal(0.5, 1, 100_000).astype(np.float32)
    histogram = histogram_of(values)
    # One bin, and at the sparse end the gap to the next value.
    near = histogram.width + 0.005
    for percent in (90.0, 99.0, 99.9):
        found = percentile(histogram, percent)
        assert found.high == pytest.approx(np.percentile(values, percent), abs=near)
        assert found.low == pytest.approx(np.percentile(values, 100 - percent), abs=near)


ANY = hnp.arrays(
    np.float32,
    st.integers(1, 50),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@given(ANY)
@settings(deadline=None)
def test_every_rule_stays_within_the_values_and_holds_zero(values: F32) -> None:
    histogram = histogram_of(values)
    whole = min_max(histogram)
    assert (whole.low, whole.high) == (min(values.min(), 0), max(values.max(), 0))
    assert percentile(histogram, 100.0) == whole
    for rule in RULES.values():
        found = rule(histogram)
        assert whole.low <= found.low <= 0 <= found.high <= whole.high


@pytest.mark.parametrize("value", [0.0, 3.0, -0.25, 1e-40, 3e38])
def test_constant_tensors(value: float) -> None:
    histogram = histogram_of(np.full(10, value, np.float32))
    rounded = float(np.float32(value))
    whole = Range(min(rounded, 0.0), max(rounded, 0.0))
    assert min_max(histogram) == whole
    chosen = mean_squared_error(histogram)
    # A constant is a level of its own, whatever the range: at least within half a step.
    assert chosen.high - chosen.low >= 0.99 * (whole.high - whole.low)


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_histogram_has_no_range(rule: str) -> None:
    with pytest.raises(ObserverError, match="'add_3' was never observed"):
        RULES[rule](StreamingHistogram("add_3"))


@pytest.mark.parametrize("percent", [49.9, 100.1, math.nan])
def test_percentiles_out_of_bounds_are_refused(percent: float) -> None:
    with pytest.raises(ObserverError, match="allowed: 50 to 100"):
        percentile(histogram_of(np.ones(3, np.float32)), percent)


@pytest.mark.parametrize("ends", [(0.1, 1.0), (-1.0, -0.1), (0.0, math.inf), (math.nan, 1.0)])
def test_ranges_hold_zero_and_are_finite(ends: tuple[float, float]) -> None:
    with pytest.raises(ObserverError, match="range"):
        Range(*ends)


def test_observe_takes_mappings_and_sequences() -> None:
    batches = [np.arange(6, dtype=np.float32).reshape(1, 2, 3), -np.ones((1, 2, 3), np.float32)]
    by_order = observe(["a", "b"], [(x, 2 * x) for x in batches])
    by_name = observe(["a", "b"], [{"b": 2 * x, "a": x, "other": x} for x in batches])
    assert by_order == by_name
    assert by_order.samples == 2
    table = by_order.ranges("minmax", synthetic=True)
    assert dict(table) == {"a": Range(-1.0, 5.0), "b": Range(-2.0, 10.0)}
    assert (table.observer, table.samples, table.synthetic) == ("minmax", 2, True)


def test_observe_refuses_a_batch_that_lacks_a_tensor() -> None:
    with pytest.raises(ValueError, match="shorter"):
        observe(["a", "b"], [[np.ones(1, np.float32)]])


def test_the_default_cuts_nothing_off_synthetic_images() -> None:
    values = np.append(np.random.default_rng(0).normal(0, 1, 400_000), 10).astype(np.float32)
    observed = observe(["a"], [[values]])
    assert observed.ranges(synthetic=True)["a"].high == 10.0
    assert observed.ranges().observer == "mse"
    assert observed.ranges()["a"].high < 10.0


def test_unknown_observers_are_refused() -> None:
    observed = observe(["a"], [[np.ones(1, np.float32)]])
    with pytest.raises(ObserverError, match="observer 'entropy'; allowed: minmax, percentile, mse"):
        observed.ranges("entropy")


def test_tables_survive_json_and_do_not_change() -> None:
    ranges = {"a": Range(-1.0, 5.5)}
    table = RangeTable(ranges, "mse", 3)
    ranges["b"] = Range(0.0, 1.0)
    assert dict(table) == {"a": Range(-1.0, 5.5)}
    assert RangeTable.from_json(json.loads(json.dumps(table.to_json()))) == table
    with pytest.raises(TypeError):
        table.ranges["a"] = Range(0.0, 1.0)  # type: ignore[index]


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"ranges": [], "observer": "mse", "samples": 1, "synthetic": False},
        {"ranges": {"a": [1]}, "observer": "mse", "samples": 1, "synthetic": False},
        {"ranges": {"a": [1, 2]}, "observer": "mse", "samples": 1, "synthetic": False},
        {"ranges": {"a": ["x", 2]}, "observer": "mse", "samples": 1, "synthetic": False},
    ],
)
def test_what_is_no_table_is_refused(data: object) -> None:
    with pytest.raises(ObserverError):
        RangeTable.from_json(data)


def test_halves_are_every_other_batch_and_sum_to_the_whole() -> None:
    batches = [np.random.default_rng(seed).normal(0, seed + 1, 50) for seed in range(5)]
    observed = observe(["t"], [[batch.astype(np.float32)] for batch in batches])
    for half, first in zip(observed.halves, (0, 1), strict=True):
        assert half["t"] == histogram_of(np.concatenate(batches[first::2]).astype(np.float32))
    assert observed.histograms["t"] == histogram_of(np.concatenate(batches).astype(np.float32))
    assert observe(["t"], [[batches[0]]]).halves == ()


@given(st.lists(st.integers(0, 3), max_size=5))
def test_observers_of_parts_make_the_observer_of_all(sizes: list[int]) -> None:
    # Odd parts too: which half a batch counts to depends on all that came before it.
    batches = [[np.full(5, index + 1, np.float32)] for index in range(sum(sizes))]
    total, rest = Observer(["t"]), iter(batches)
    for size in sizes:
        part = Observer(["t"])
        for batch in islice(rest, size):
            part.update(batch)
        total.add(part)
    expected = observe(["t"], batches)
    assert total.observations() == expected
    assert total.samples == expected.samples == len(batches)
    if len(batches) > 1:
        first, second = expected.halves
        assert (first["t"].low, second["t"].low) == (1, 2)


def test_the_ends_of_channels_are_those_of_all_parts() -> None:
    batches = [np.full((1, 3, 2, 2), 1.0 + index, np.float32) for index in range(4)]
    total = Observer(["t", "u"], channels=["t"])
    for several in (batches[:3], batches[3:]):
        part = Observer(["t", "u"], channels=["t"])
        for batch in several:
            part.update([batch, batch])
        total.add(part)
    ends = total.observations().ends
    assert ends.keys() == {"t"}
    assert (ends["t"].low.tolist(), ends["t"].high.tolist()) == ([1] * 3, [4] * 3)
    assert ends["t"].positions == 16
