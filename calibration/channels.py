"""What values each channel of a tensor takes, from one pass over them in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.histogram import ObserverError
from edge.tensors import Array


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """Of each channel, float64 [C]: the least value, the largest, the mean, the variance.

    `active`: the share of the values that are not zero, as a ReLU makes them; `positions`: how
    many values of each were seen.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    active: NDArray[np.float64]
    positions: int


def observe_channels(
    names: Sequence[str], batches: Iterable[Mapping[str, Array]]
) -> dict[str, Channels]:
    """Return the channels of every named tensor.

    Args: batches: float32 [B, C, ...] by name, of one shape a name, streamed: one is held at a
        time.
    Raises: ObserverError: there is no batch, or a value is NaN or infinite.
    """
    found: dict[str, list[tuple[Array, ...]]] = {name: [] for name in names}
    positions = dict.fromkeys(names, 0)
    for batch in batches:
        for name in names:
            rows = np.moveaxis(batch[name], 1, 0).reshape(batch[name].shape[1], -1)
            found[name].append(_one(rows))
            positions[name] += rows.shape[1]
    return {name: _merged(name, parts, positions[name]) for name, parts in found.items()}


def _one(rows: Array) -> tuple[Array, ...]:
    """Return low, high, mean, variance and active share of each row of [C, values]."""
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused later
        variance = rows.var(axis=1)
    mean = rows.mean(axis=1, dtype=np.float64)
    active = np.count_nonzero(rows, axis=1) / rows.shape[1]
    return rows.min(axis=1), rows.max(axis=1), mean, variance.astype(np.float64), active


def _merged(name: str, parts: list[tuple[Array, ...]], positions: int) -> Channels:
    if not parts:
        raise ObserverError(
            f"tensor {name!r} was never observed; calibrate with at least one image"
        )
    lows, highs, means, variances, active = (np.asarray(rows) for rows in zip(*parts, strict=True))
    if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
        raise ObserverError(f"tensor {name!r} holds NaN or infinite values; check the model")
    return Channels(
        lows.min(axis=0).astype(np.float64),
        highs.max(axis=0).astype(np.float64),
        means.mean(axis=0),
        variances.mean(axis=0) + means.var(axis=0),  # within batches, and between them
        active.mean(axis=0),
        positions,
    )
