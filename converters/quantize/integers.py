"""Constants that a file, which is already quantized, holds as integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.quantize.params import QuantParams
from edge.tensors import F32, Array


@dataclass(frozen=True, slots=True, eq=False)
class Dequantized:
    """A constant that the file holds as integers: real = scale * (q - zero point).

    `real`: what it means; `integers`: as they stand in the file; `scales`: [1], or one for each
    channel; `params`: the integers' meaning as int8 counts them, None where they have several
    scales or are no bytes.
    """

    real: F32
    integers: Array
    scales: NDArray[np.float32]
    params: QuantParams | None


@dataclass(frozen=True, slots=True)
class GivenConstants:
    """The constants of one node of the Graph, each None where the file holds it as float.

    Of a Constant, `weight` is its value.
    """

    weight: Dequantized | None = None
    bias: Dequantized | None = None
