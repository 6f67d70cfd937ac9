"""How far a share of these images may be from that of all images like them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.tensors import Array

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over images, and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_mean(values: Array) -> Interval:
    """Return the mean of one number an image, with its percentile bootstrap interval.

    The interval's ends are the quantiles (1 - CONFIDENCE) / 2 and (1 + CONFIDENCE) / 2 of the means
    of RESAMPLES samples, each of as many images drawn with replacement (Efron, Tibshirani: An
    Introduction to the Bootstrap, 1993, section 13.3). Where the numbers are the differences
    between two models on the same image, that is the paired bootstrap.

    Such a sample says only how many images of each value it has, which is multinomially
    distributed: drawn at once, it is the same bootstrap without an index for every image. The draws
    are the same every time.
    Args: values: [images], at least one, of few different values, as right (1) and wrong (0).
    """
    kinds, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    total = len(values)
    random = np.random.default_rng(SEED)
    means = random.multinomial(total, counts / total, RESAMPLES) @ kinds / total
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(kinds @ counts / total), float(low), float(high))
