"""What bounds a function of one value has, or one of two, such as their sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from converters.bounds.interval import F64, UNIT, UNKNOWN, Bounds
from converters.operators import (
    Add,
    Elu,
    Erf,
    Exp,
    Gelu,
    HardSwish,
    LeakyRelu,
    Maximum,
    Minimum,
    Mul,
    Sigmoid,
    Sub,
    Tanh,
    Unary,
)

# A runtime's float32 functions are polynomials, off by some 1e-7 of what they give, or of 1.
FUNCTION_ERROR = 1e-5


def of_two(operator: Add | Sub | Mul | Minimum | Maximum, a: Bounds, b: Bounds) -> Bounds:
    """Return the bounds of a function of two values that lie at the same place."""
    if isinstance(operator, Minimum):
        return Bounds(np.minimum(a.low, b.low), np.minimum(a.high, b.high))
    if isinstance(operator, Maximum):
        return Bounds(np.maximum(a.low, b.low), np.maximum(a.high, b.high))
    if isinstance(operator, Mul):
        products = np.broadcast_arrays(*(x * y for x in (a.low, a.high) for y in (b.low, b.high)))
        ends = np.where(np.isnan(products), 0, products)  # 0 times infinity
        found = Bounds(ends.min(axis=0), ends.max(axis=0))
        return found.widened(UNIT * found.largest)
    if isinstance(operator, Sub):
        b = Bounds(-b.high, -b.low)
    return Bounds(a.low + b.low, a.high + b.high).widened(UNIT * (a.largest + b.largest))


def _erf(x: F64) -> F64:
    found: F64 = np.vectorize(math.erf, otypes=[np.float64])(x)
    return found


def _gelu(operator: Unary, x: F64) -> F64:
    by_tanh = isinstance(operator, Gelu) and operator.tanh
    bent = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    found: F64 = 0.5 * x * (1 + (bent if by_tanh else _erf(x / math.sqrt(2))))
    return found


def _slope(operator: Unary) -> float:
    assert isinstance(operator, LeakyRelu)  # noqa: S101 (found by its kind)
    return operator.slope


# Those that never fall: their bounds are those of the ends.
RISING: Mapping[type[Unary], Callable[[Unary, F64], F64]] = {
    Exp: lambda _, x: np.exp(x),
    Sigmoid: lambda _, x: 1 / (1 + np.exp(-x)),
    Tanh: lambda _, x: np.tanh(x),
    Erf: lambda _, x: _erf(x),
    Elu: lambda _, x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}
# Of these only a constant is followed.
OTHERS: Mapping[type[Unary], Callable[[Unary, F64], F64]] = {
    HardSwish: lambda _, x: x * np.clip(x + 3, 0, 6) / 6,
    LeakyRelu: lambda operator, x: np.where(x > 0, x, _slope(operator) * x),
    Gelu: _gelu,
}


def of_function(operator: Unary, x: Bounds) -> Bounds:
    kind = type(operator)
    if kind in RISING:
        found = Bounds(*(RISING[kind](operator, end) for end in (x.low, x.high)))
        return found.widened(FUNCTION_ERROR * (1 + found.largest))
    if kind not in OTHERS:
        return UNKNOWN
    value = OTHERS[kind](operator, np.where(x.is_constant, x.low, 0))
    low, high = (np.where(x.is_constant, value, end) for end in (-np.inf, np.inf))
    return Bounds(low, high)
