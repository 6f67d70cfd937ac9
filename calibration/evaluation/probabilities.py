"""Whether scores are logits or probabilities, and the logarithms of both."""

from __future__ import annotations

import numpy as np

from calibration.metrics import F64
from edge.tensors import F32

SUM_TOLERANCE = 1e-3
# A softmax is quantized with a step of 1/256 in TFLite, and about that elsewhere.
COARSEST_STEP = 1 / 256


def is_distribution(scores: F32) -> bool:
    """Whether one image's scores can be probabilities: none below 0 or above 1, their sum 1.

    Probabilities that are rounded to steps add up to 1 only within half a step for each class. No
    step is larger than the smallest score that is not 0, which in a float softmax is next to none.
    Args: scores: float32 [1, classes], of all the classes that the model has.
    """
    if scores.min() < 0 or scores.max() > 1 + SUM_TOLERANCE or not scores.any():
        return False
    tolerance = SUM_TOLERANCE + scores.size * _step(scores) / 2
    return bool(abs(scores.sum(dtype=np.float64) - 1) <= tolerance)


def log_probabilities(scores: F32) -> F64:
    """Return the logarithms of one image's probabilities, which are brought to a sum of 1.

    What rounding made 0 was not nothing. What the others leave of 1, and half a step at least, is
    shared among these classes evenly.
    Args: scores: float32 [1, classes], `is_distribution`, or some of such a one's classes.
    """
    p = np.asarray(scores, np.float64)
    gone = p == 0
    if gone.all():
        return np.full_like(p, -np.log(p.size))
    if gone.any():
        p = np.where(gone, max(1 - p.sum(), _step(scores) / 2) / gone.sum(), p)
    log_p: F64 = np.log(p / p.sum())
    return log_p


def _step(scores: F32) -> float:
    return min(float(scores[scores > 0].min()), COARSEST_STEP)
