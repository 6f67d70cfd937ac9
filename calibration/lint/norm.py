"""What the model's first BatchNormalization remembers of the pictures that it was trained on.

Its running mean and variance are those of the training set, behind the training preprocessing.
Pictures like those give the same moments under the same preprocessing, and others under another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.images import even_steps
from calibration.lint.finding import Finding
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import F32, Array

# Pictures of each comparison. A network of ImageNet and one of digits have, over 400 random sets of
# their own pictures, under the right preset a distance of 0.25 at most with 8 pictures and 0.17
# with 16, and under the nearest wrong one 0.9 and 4.1 times that at least; on synthetic pictures
# 0.13 and 8 times.
PRESET_IMAGES = 16
LEAST_IMAGES = 8
FITS = 0.2
TIMES = 3.0
# Colours differ less: at 32 pictures the wrong order has 1.07 times the right one's at least on
# photographs (1.6 mostly), and on gray cards 0.9 times (1.03 mostly), where it tells nothing. It
# cannot tell exchanged colours from a set that has more blue than red on average: of such sets, up
# to half are taken for exchanged, which is why the finding says both.
COLOR_IMAGES = 48
LEAST_COLOR_IMAGES = 32
COLOR_TIMES = 1.2
COLOR_LEAST = 0.005
# A channel that is dead in training has a variance next to 0, and no distance.
LIVE = 1e-3
VARIANCE_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Norm:
    """One BatchNormalization.

    `mean`, `variance`: float32 [C], running; `before`: makes the value that it normalizes,
    float32 [1, C, ...], of the model's input; `channel_axis`: of that input; `images`: on how many
    pictures that may be done.
    """

    name: str
    mean: F32
    variance: F32
    before: Callable[[F32], F32]
    channel_axis: int
    images: int


def check_preset(norm: Norm, inputs: Sequence[F32], spec: PreprocessSpec) -> Finding | None:
    """Find a preset that fits far better than `spec`, which made `inputs` (float32 [1, ...])."""
    few = _spread(inputs, min(PRESET_IMAGES, norm.images))
    here = distance(norm, few, spec, spec)
    others = {name: preset.with_color(spec.color) for name, preset in PRESETS.items()}
    there = {name: distance(norm, few, spec, other) for name, other in others.items()}
    best = min(there, key=lambda name: there[name])
    if there[best] > FITS or here <= TIMES * there[best]:
        return None
    return Finding(
        "preset",
        "error",
        f"under --preprocess {best} the images give what {norm.name}, the first "
        f"BatchNormalization, was trained on (distance {there[best]:.2g}), under the chosen "
        f"preprocessing they do not ({here:.2g}; {len(few)} images)",
        f"--preprocess {best}",
    )


def check_color(norm: Norm, inputs: Sequence[F32], spec: PreprocessSpec) -> Finding | None:
    """Find that the other order of colours fits better than that of `spec`, as `check_preset`."""
    inputs = _spread(inputs, norm.images)
    swapped = spec.with_color("bgr" if spec.color == "rgb" else "rgb")
    here = distance(norm, inputs, spec, spec)
    there = distance(norm, inputs, spec, swapped)
    if there > FITS or here < max(COLOR_TIMES * there, there + COLOR_LEAST):
        return None
    return Finding(
        "color",
        "warning",
        f"with red and blue exchanged the images give what {norm.name}, the first "
        f"BatchNormalization, was trained on (distance {there:.2g}) better than as they are "
        f"({here:.2g}; {len(inputs)} images): the model or the images are in the other order, or "
        "the images are of other colours than the training's",
        f"--color {swapped.color}, or the images",
    )


def distance(
    norm: Norm, inputs: Sequence[F32], spec: PreprocessSpec, other: PreprocessSpec
) -> float:
    """Return how far the moments behind `other` are from the running ones, 0 where equal.

    That is the mean over the channels of the Kullback-Leibler divergence between two normal
    distributions, (d**2 / v + r - 1 - log(r)) / 2, with d the difference of the means, v the
    running variance and r the ratio to it of the pictures' own.
    Args: inputs: float32, made by `spec`. Returns: infinity where no channel is live, too.
    """
    sums = [_moments(norm.before(_remade(x, spec, other, norm.channel_axis))) for x in inputs]
    mean, square = np.mean(sums, axis=0)
    live = norm.variance > LIVE * max(0.0, float(np.median(norm.variance)))
    if not live.any():
        return math.inf
    with np.errstate(all="ignore"):  # what overflows is far
        ratio = np.maximum((square - mean**2)[live] / norm.variance[live], VARIANCE_FLOOR)
        shift = (mean[live] - norm.mean[live]) ** 2 / norm.variance[live]
        far = float(np.mean(shift + ratio - 1 - np.log(ratio)) / 2)
    return far if math.isfinite(far) else math.inf


def _spread(inputs: Sequence[F32], count: int) -> list[F32]:
    return [inputs[index] for index in even_steps(len(inputs), count)]


def _moments(value: F32) -> tuple[Array, Array]:
    flat = value.reshape(value.shape[1], -1)
    return flat.mean(axis=1, dtype=np.float64), (flat.astype(np.float64) ** 2).mean(axis=1)


def _remade(x: F32, spec: PreprocessSpec, other: PreprocessSpec, axis: int) -> F32:
    """Return what `other` makes of the picture of which `spec` made `x`."""
    if other == spec:
        return x

    def along(values: tuple[float, ...]) -> F32:
        shape = [1] * x.ndim
        shape[axis] = -1
        return np.asarray(values, np.float32).reshape(shape)

    pixels = x * along(spec.std) + along(spec.mean)
    if other.color != spec.color:
        pixels = np.flip(pixels, axis)
    remade: F32 = np.ascontiguousarray((pixels - along(other.mean)) / along(other.std), np.float32)
    return remade
