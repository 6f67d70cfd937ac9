"""How right a classifier is, and how far it is from its float model.

Scores are what a model gives a class (logits or probabilities), float, [images, classes]; all sums
are in float64. None of these takes NaN or infinite scores: check before.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError
from edge.tensors import Array

F64 = NDArray[np.float64]


class MetricError(CalibrationError):
    """Two sets of scores cannot be compared."""


def ranks(scores: Array, classes: Array) -> NDArray[np.intp]:
    """Return [images]: how many classes come before the true one, 0 for the best.

    Equal scores keep the order of the classes, so that rank 0 is what argmax gives.
    Args: scores: [images, classes]; classes: integer [images], the true ones.
    """
    true = np.take_along_axis(scores, classes[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < classes[:, None]
    before: NDArray[np.intp] = np.sum((scores > true) | ((scores == true) & earlier), axis=1)
    return before


def top_k(scores: Array, classes: Array, k: int) -> float:
    """Return the share of images whose true class is among the k best, 0 to 1.

    With k = 1 and k = 5 the top-1 and top-5 accuracy of Russakovsky et al., ImageNet Large Scale
    Visual Recognition Challenge, IJCV 2015, section 4.1.
    """
    return float(np.mean(ranks(scores, classes) < k))


def agreement(reference: Array, test: Array) -> float:
    """Return the share of images for which both give the same class most, 0 to 1."""
    _check(reference, test)
    return float(np.mean(reference.argmax(axis=1) == test.argmax(axis=1)))


def energies(reference: Array, test: Array) -> tuple[float, float]:
    """Return sum(reference**2) and sum((reference - test)**2), which add up over parts."""
    _check(reference, test)
    signal = np.asarray(reference, np.float64)
    return float(np.sum(signal**2)), float(np.sum((signal - test) ** 2))


def centred_energies(reference: Array, test: Array) -> tuple[float, float]:
    """Return the `energies` after each image's mean over classes was taken off both."""
    return energies(_centred(reference), _centred(test))


def decibels(signal: float, noise: float) -> float:
    """Return 10 log10(signal / noise): inf without noise, -inf for noise without signal."""
    if noise == 0.0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def sqnr_db(reference: Array, test: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB, of arrays of any one shape.

    10 log10(sum(reference**2) / sum((reference - test)**2)), sums over everything (Jayant, Noll:
    Digital Coding of Waveforms, 1984, section 1.4); `decibels` defines its ends.
    """
    return decibels(*energies(reference, test))


def centred_sqnr_db(reference: Array, test: Array) -> float:
    """Return the `sqnr_db` of scores after each image's mean over classes was taken off.

    A constant added to all logits changes neither the class nor the softmax, and so should not
    count, as signal or as noise.
    """
    return decibels(*centred_energies(reference, test))


def log_softmax(logits: Array) -> F64:
    """Return the logarithms of the softmax of each row: float64 [images, classes]."""
    shifted: F64 = np.asarray(logits, np.float64) - logits.max(axis=1, keepdims=True)
    log_softmax: F64 = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return log_softmax


def divergences(log_p: F64, log_q: F64) -> F64:
    """Return each image's Kullback-Leibler divergence KL(p || q) in nats: float64 [images].

    sum(p (log p - log q)) over classes (Kullback, Leibler: On Information and Sufficiency, 1951).
    Args: log_p, log_q: logarithms of probabilities, float64 [images, classes].
    """
    _check(log_p, log_q)
    # Rounding can take a divergence of nothing just below zero.
    kl: F64 = np.maximum(0.0, np.sum(np.exp(log_p) * (log_p - log_q), axis=1))
    return kl


def _check(reference: Array, test: Array) -> None:
    if reference.shape != test.shape:
        raise MetricError(
            f"scores of shape {list(reference.shape)} and {list(test.shape)} cannot be compared; "
            "both models must have the same classes and see the same images"
        )


def _centred(scores: Array) -> F64:
    centred: F64 = scores - np.mean(scores, axis=1, keepdims=True, dtype=np.float64)
    return centred
