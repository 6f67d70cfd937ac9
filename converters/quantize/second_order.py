"""Round weights one after another, each rounding made up for by those that are still to come.

Rounding to nearest takes every weight by itself. What a layer loses, though, is the error of whole
sums, E |(W - Q) x|^2, and inputs that rise and fall together let the error of one weight be undone
by others. The order and the formula are those of Optimal Brain Quantization with one order for
all rows: E. Frantar, D. Alistarh, "Optimal Brain Compression" (2022), and E. Frantar et al.,
"GPTQ" (2022).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.quantize.weights import WEIGHT_QMAX
from edge.tensors import F32

F64 = NDArray[np.float64]
# Columns whose errors reach the columns behind the block in one product of matrices.
BLOCK = 32


def shrunk_mean(rows: F64) -> F64:
    """Return float64 [O]: the mean of rows [N, O], each number less by what chance explains of it.

    That is James and Stein's positive part: nothing is left of a mean within its standard error.
    One row is taken for the mean.
    """
    mean: F64 = rows.mean(axis=0)
    variance = rows.var(axis=0) / max(1, len(rows) - 1)
    mean *= np.maximum(0.0, 1 - variance / np.maximum(np.square(mean), 1e-300))
    return mean


def shrunk(moments: F64, samples: int) -> F64:
    """Return second moments from few samples, drawn towards their diagonal.

    Of K inputs, K (K + 1) / 2 products are estimated: with few samples most of what is seen off the
    diagonal is chance. It is kept by the share samples / (samples + K). An input that is always
    zero gets the smallest of the others, so that the matrix has an inverse.

    Args: moments: float64 [..., K, K].
    """
    size = moments.shape[-1]
    diagonal = np.einsum("...ii->...i", moments)
    least = np.where(diagonal > 0, diagonal, np.inf).min(axis=-1, keepdims=True)
    least = np.where(np.isfinite(least), least, 1.0)
    result: F64 = moments * (samples / (samples + size))
    np.einsum("...ii->...i", result)[...] = np.maximum(diagonal, least)
    return result


def round_weights(weight: F64, scale: F64, moments: F64) -> NDArray[np.int8]:
    """Return int8 integers [G, O, K], -127..127, that lose little of weight times input.

    Args: weight: float64 [G, O, K], of G groups that read inputs of their own; scale: float64
        [G, O]; moments: float64 [G, K, K], positive definite, the inputs' second moments.
    """
    size = weight.shape[-1]
    order = np.argsort(-np.einsum("gii->gi", moments), axis=-1, kind="stable")
    rest = np.take_along_axis(weight, order[:, None, :], axis=2)
    ordered = np.take_along_axis(moments, order[:, :, None], axis=1)
    spread = _spread(np.take_along_axis(ordered, order[:, None, :], axis=2))
    rounded = np.empty_like(rest)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        errors = np.empty((*rest.shape[:2], stop - start))
        for column in range(start, stop):
            q = np.clip(np.rint(rest[:, :, column] / scale), -WEIGHT_QMAX, WEIGHT_QMAX)
            rounded[:, :, column] = q
            error = (rest[:, :, column] - q * scale) / spread[:, None, column, column]
            errors[:, :, column - start] = error
            rest[:, :, column + 1 : stop] -= (
                error[:, :, None] * spread[:, None, column, column + 1 : stop]
            )
        rest[:, :, stop:] -= errors @ spread[:, start:stop, stop:]
    integers = np.empty(weight.shape, np.int8)
    np.put_along_axis(integers, order[:, None, :], rounded.astype(np.int8), axis=2)
    return integers


def _spread(moments: F64) -> F64:
    """Return U [G, K, K], upper triangular, with inverse(moments) = U^T U.

    Row k says how an error in weight k is best spread over those behind it. With the order of rows
    and columns turned round, Cholesky's lower factor is an upper one, L L^T = moments, and U is
    its inverse.
    """
    turned = np.linalg.cholesky(moments[:, ::-1, ::-1])
    upper: F64 = np.linalg.inv(turned[:, ::-1, ::-1])
    return upper


def second_moments(inputs: F32) -> tuple[F64, F64]:
    """Return means [G, K] and central second moments [G, K, K] of float32 inputs [G, P, K]."""
    mean = inputs.mean(axis=1, keepdims=True)
    centred = inputs - mean
    moments = centred.transpose(0, 2, 1) @ centred / inputs.shape[1]
    return mean[:, 0].astype(np.float64), moments.astype(np.float64)
