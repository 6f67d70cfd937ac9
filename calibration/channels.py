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
    """Of each channel, float64 [C]: the least value, the largest, and the mean.

    `positions`: how many values of each were seen.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    positions: int


def observe_channels(
    names: Sequence[str], batches: Iterable[Mapping[str, Array]]
) -> dict[str, Channels]:
    """Return the channels of every named tensor.

    Args: batches: float32 [B, C, ...] by name, of one shape a name, streamed: one is held at a
        time.
    Raises: ObserverError: there is no batch, or a value is NaN or infinite.
    """
    lows: dict[str, list[Array]] = {name: [] for name in names}
    highs: dict[str, list[Array]] = {name: [] for name in names}
    means: dict[str, list[Array]] = {name: [] for name in names}
    positions = dict.fromkeys(names, 0)
    for batch in batches:
        for name in names:
            rows = np.moveaxis(batch[name], 1, 0).reshape(batch[name].shape[1], -1)
            lows[name].append(rows.min(axis=1))
            highs[name].append(rows.max(axis=1))
            means[name].append(rows.mean(axis=1, dtype=np.float64))
            positions[name] += rows.shape[1]
    for name in names:
        _check(name, lows[name], highs[name])
    return {
        name: Channels(
            np.min(lows[name], axis=0).astype(np.float64),
            np.max(highs[name], axis=0).astype(np.float64),
            np.mean(means[name], axis=0),
            positions[name],
        )
        for name in names
    }


def _check(name: str, lows: list[Array], highs: list[Array]) -> None:
    if not lows:
        raise ObserverError(
            f"tensor {name!r} was never observed; calibrate with at least one image"
        )
    if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
        raise ObserverError(f"tensor {name!r} holds NaN or infinite values; check the model")
