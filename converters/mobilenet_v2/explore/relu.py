"""ReLU on a low-dimensional manifold: how much of a spiral comes back.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, section
3.2 and figure 1; what can come back at all is lemma 2 of its appendix A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from converters.mobilenet_v2.explore.experiment import Asked

F64: TypeAlias = NDArray[np.float64]

DIMENSIONS = (2, 3, 5, 15, 30)
MATRICES = 400
POINTS = 1000
TURNS = 2.0
PLANE = 2
QUARTILES = (5.0, 25.0, 50.0, 75.0, 95.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """The 5th, 25th, 50th, 75th and 95th percentile over all matrices."""

    p5: float
    p25: float
    median: float
    p75: float
    p95: float

    @classmethod
    def of(cls, values: F64) -> Spread:
        return cls(*map(float, np.percentile(values, QUARTILES)))


@dataclass(frozen=True, slots=True)
class Row:
    """What `dimensions` (n) keep of the spiral.

    Errors are relative: the root of the sum of squared distances of all points from where they
    were, over that of their distances from the origin. `relu`: behind ReLU and the pseudo-inverse;
    `scaled`: the same after the one `factor` that fits best; `linear`: without ReLU, and
    `linear_worst` the largest of these. `lost`: the share of points with fewer than two independent
    active rows, in the mean over all matrices, `lost_error` the standard error of that mean, and
    `lost_expected` what chance says.
    """

    dimensions: int
    relu: Spread
    scaled: Spread
    factor: Spread
    linear: Spread
    linear_worst: float
    lost: float
    lost_error: float
    lost_expected: float


@dataclass(frozen=True, slots=True, eq=False)
class ReluResult:
    """`spiral`: float64 [points, 2]; `pictures`: by n, what the first matrix makes of it."""

    rows: tuple[Row, ...]
    spiral: F64
    pictures: dict[int, F64]
    matrices: int
    command: str


@dataclass(frozen=True, slots=True, eq=False)
class Trip:
    """One way there and back: where each point ends, float64 [points, 2], with and without ReLU.

    `lost`: bool [points], of which no inverse of any kind could tell.
    """

    back: F64
    linear: F64
    lost: NDArray[np.bool_]


def run(asked: Asked) -> ReluResult:
    """Draw MATRICES matrices for each n, their numbers normal with variance 1."""
    points = spiral(POINTS)
    rows, pictures = [], {}
    for n in asked.progress(DIMENSIONS, len(DIMENSIONS), "ReLU on a spiral"):
        random = np.random.default_rng((asked.seed, n))
        trips = [there_and_back(random.normal(size=(n, PLANE)), points) for _ in range(MATRICES)]
        rows.append(_row(n, points, trips))
        pictures[n] = trips[0].back
    return ReluResult(
        tuple(rows), points, pictures, MATRICES, asked.command("relu", needs_model=False)
    )


def spiral(count: int) -> F64:
    """Return float64 [count, 2], evenly spaced along a spiral from the origin to radius 1."""
    along = np.sqrt(np.linspace(0.0, 1.0, count + 1)[1:])
    angle = 2 * np.pi * TURNS * along
    return np.column_stack((along * np.cos(angle), along * np.sin(angle)))


def there_and_back(matrix: F64, points: F64) -> Trip:
    """Return what x -> T+ ReLU(T x) makes of points. Args: matrix: [n, 2]; points: [points, 2]."""
    high = points @ matrix.T
    inverse = np.linalg.pinv(matrix).T
    # Two rows that are parallel by chance are none that could be drawn.
    lost = np.count_nonzero(high > 0, axis=1) < PLANE
    return Trip(np.maximum(high, 0) @ inverse, high @ inverse, lost)


def error(back: F64, points: F64) -> float:
    """Return the relative error of `Row`."""
    return float(np.linalg.norm(back - points) / np.linalg.norm(points))


def best_factor(back: F64, points: F64) -> float:
    """Return the s with the least |s back - points|; 0 where nothing came back."""
    energy = float(np.vdot(back, back))
    return float(np.vdot(back, points)) / energy if energy else 0.0


def expected_loss(n: int) -> float:
    """Return the chance that at most one of n rows is active: each is, with a chance of 1/2."""
    return (n + 1) / 2.0**n


def _row(n: int, points: F64, trips: list[Trip]) -> Row:
    factors = np.array([best_factor(trip.back, points) for trip in trips])
    lost = np.array([trip.lost.mean() for trip in trips])
    linear = np.array([error(trip.linear, points) for trip in trips])
    pairs = zip(factors, trips, strict=True)
    return Row(
        n,
        relu=Spread.of(np.array([error(trip.back, points) for trip in trips])),
        scaled=Spread.of(np.array([error(s * trip.back, points) for s, trip in pairs])),
        factor=Spread.of(factors),
        linear=Spread.of(linear),
        linear_worst=float(linear.max()),
        lost=float(lost.mean()),
        lost_error=float(lost.std(ddof=1) / np.sqrt(len(lost))),
        lost_expected=expected_loss(n),
    )
