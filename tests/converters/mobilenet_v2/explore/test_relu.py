from __future__ import annotations

from math import comb
from pathlib import Path

import numpy as np
import pytest

from calibration.progress import silent
from converters.mobilenet_v2.explore.experiment import Asked
from converters.mobilenet_v2.explore.flags import DEFAULT_SAMPLES
from converters.mobilenet_v2.explore.relu import (
    DIMENSIONS,
    F64,
    MATRICES,
    ReluResult,
    best_factor,
    error,
    expected_loss,
    run,
    spiral,
    there_and_back,
)
from converters.mobilenet_v2.explore.relu_chapter import chapter


def asked(seed: int = 0) -> Asked:
    return Asked(None, None, DEFAULT_SAMPLES, seed, Path(), silent)


@pytest.fixture(scope="module")
def result() -> ReluResult:
    return run(asked())


def drawn(n: int, seed: int = 3) -> F64:
    return np.random.default_rng(seed).normal(size=(n, 2))


def test_the_spiral_leads_from_the_middle_to_the_rim_in_even_steps() -> None:
    points = spiral(500)
    radius = np.hypot(*points.T)
    assert (np.diff(radius) > 0).all()
    assert radius[-1] == pytest.approx(1)
    steps = np.hypot(*np.diff(points, axis=0).T)[50:]
    assert steps.max() < 1.1 * steps.min()


@pytest.mark.parametrize("n", DIMENSIONS)
def test_without_relu_every_point_comes_back(n: int) -> None:
    points = spiral(100)
    for seed in range(50):
        matrix = drawn(n, seed)
        # Rounding of float64, as far as the matrix makes it larger (Golub, Van Loan: 5.3.8).
        bound = 10 * np.finfo(np.float64).eps * np.linalg.cond(matrix)
        assert error(there_and_back(matrix, points).linear, points) < bound


def test_of_rows_and_their_opposites_exactly_half_comes_back() -> None:
    points = spiral(64)
    trip = there_and_back(np.vstack((np.eye(2), -np.eye(2))), points)
    np.testing.assert_allclose(trip.back, points / 2, atol=1e-15)
    assert best_factor(trip.back, points) == pytest.approx(2)
    assert error(trip.back, points) == pytest.approx(0.5)
    assert not trip.lost.any()


def test_of_very_many_rows_about_half_comes_back() -> None:
    points = spiral(64)
    trip = there_and_back(drawn(20_000), points)
    assert error(trip.back, points) == pytest.approx(0.5, abs=0.01)
    assert error(2 * trip.back, points) < 0.02


@pytest.mark.parametrize("n", [2, 3, 5])
def test_what_is_lost_has_a_neighbour_that_looks_the_same(n: int) -> None:
    """And of what is not lost, the active rows alone tell where it was (lemma 2)."""
    points, matrix = spiral(200), drawn(n)
    lost = there_and_back(matrix, points).lost
    assert 0 < lost.sum() < len(points)
    for point, is_lost in zip(points, lost, strict=True):
        high = matrix @ point
        active = matrix[high > 0]
        if not is_lost:
            found = np.linalg.lstsq(active, high[high > 0], rcond=None)[0]
            np.testing.assert_allclose(found, point, atol=1e-9)
            continue
        # Across the one active row, or anywhere.
        aside = np.array((-active[0][1], active[0][0])) if len(active) else np.array((1.0, 0.0))
        room = np.abs(high[high <= 0]).min() / np.abs(matrix @ aside).max()
        neighbour = np.maximum(matrix @ (point + room / 2 * aside), 0)
        np.testing.assert_allclose(neighbour, np.maximum(high, 0), atol=1e-12)


def test_as_much_is_lost_as_chance_says(result: ReluResult) -> None:
    for row in result.rows:
        n = row.dimensions
        assert expected_loss(n) == sum(comb(n, active) for active in (0, 1)) / 2**n
        # Four standard errors, and of what nearly never happens a few points of all.
        few = 1e-4
        assert abs(row.lost - row.lost_expected) < 4 * row.lost_error + few
    assert result.matrices == MATRICES >= 200


def test_errors_fall_with_n_only_after_the_best_scale(result: ReluResult) -> None:
    scaled = [row.scaled.median for row in result.rows]
    assert scaled == sorted(scaled, reverse=True)
    assert result.rows[-1].relu.p5 > 0.4
    for row in result.rows:
        assert row.scaled.median <= row.relu.median
        assert row.relu.p5 <= row.relu.p25 <= row.relu.median <= row.relu.p75 <= row.relu.p95
        assert row.linear_worst < 1e-11


def test_the_same_seed_draws_the_same_and_another_does_not(result: ReluResult) -> None:
    assert run(asked()).rows == result.rows
    assert run(asked(seed=1)).rows != result.rows


def test_the_chapter_says_the_numbers(result: ReluResult) -> None:
    found = chapter(result)
    assert found.command == "edge-mobilenet explore --only relu"
    assert len(found.tables[0].rows) == len(DIMENSIONS)
    first = result.rows[0]
    spiral_plot, error_plot, lost_plot = (plot.finding for plot in found.plots)
    for finding in (spiral_plot, lost_plot, found.findings[0]):
        assert f"{100 * first.lost:.3g} %" in finding
    assert f"{first.relu.median:.2f}, " in error_plot
    assert found.numbers["rows"][0]["lost"] == result.rows[0].lost
