"""A gain and an offset a channel, which BatchNormalization and the addition of a constant share."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, Emit, RefusedError
from converters.operators import Affine
from edge.tensors import F32

# Where nothing before it takes an affine of a vector, it becomes a Gemm of C x C weights.
MAX_FEATURES = 4096


def affine(x: Activation, gain: F32, offset: F32) -> Emit:
    """Return y = gain[c] * x + offset[c].

    Raises: RefusedError: the input is no image or vector, or too long a vector; or a gain or an
        offset is not finite.
    """
    if len(x.shape) not in (2, 4):
        raise RefusedError(f"its input has shape {x.shape}; supported are [1, C, H, W] and [1, C]")
    if len(x.shape) == 2 and x.shape[1] > MAX_FEATURES:
        raise RefusedError(f"its input has {x.shape[1]} features; at most {MAX_FEATURES}")
    if not (np.isfinite(gain).all() and np.isfinite(offset).all()):
        raise RefusedError("its constants give NaN or infinity")
    return Emit(Affine(gain, offset), (x,))
