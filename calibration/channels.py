"""What values each channel of a tensor takes, from one pass over them in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.histogram import ObserverError
from edge.tensors import F32, Array


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


class ChannelEnds:
    """The least and the largest value of each channel, exact, whatever the values are split into.

    `low`, `high`: float32 [C], both zero before any; `positions`: how many values of each.
    """

    __slots__ = ("high", "low", "positions")

    def __init__(self) -> None:
        self.low = self.high = np.zeros(1, np.float32)
        self.positions = 0

    def update(self, values: Array) -> None:
        """Take in float32 [B, C, ...]."""
        rows = values.reshape(*values.shape[:2], -1)
        self._take(rows.min(axis=(0, 2)), rows.max(axis=(0, 2)), rows.shape[0] * rows.shape[2])

    def merge(self, other: ChannelEnds) -> ChannelEnds:
        """Return the ends of the values of both; neither changes."""
        merged = ChannelEnds()
        for part in (self, other):
            merged._take(part.low, part.high, part.positions)
        return merged

    def _take(self, low: F32, high: F32, positions: int) -> None:
        if not positions:
            return
        self.low = np.minimum(self.low, low) if self.positions else low
        self.high = np.maximum(self.high, high) if self.positions else high
        self.positions += positions


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
