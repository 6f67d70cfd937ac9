"""Operators that work on each value by itself, or on two that lie at the same place."""

from __future__ import annotations

from dataclasses import dataclass

from converters.errors import GraphError
from converters.operators.shapes import Shape, broadcast
from edge.tensors import F32

INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class Clamp:
    """y = min(max(x, low), high); a ReLU6 is Clamp(0, 6), a ReLU is Clamp(0, inf).

    As an operator it stands alone; as `clamp` of another it is carried by that one.
    """

    low: float
    high: float

    def intersect(self, other: Clamp) -> Clamp:
        """Return the clamp that equals this one followed by `other`."""
        return Clamp(
            min(max(self.low, other.low), other.high), min(max(self.high, other.low), other.high)
        )

    def output_shape(self, x: Shape) -> Shape:
        return x


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """y = weight[c] * x + bias[c] along `axis`: what a BatchNormalization is at inference."""

    weight: F32
    bias: F32
    axis: int = 1

    @property
    def is_uniform(self) -> bool:
        """Whether all channels have one gain and one offset, so that the axis does not matter."""
        same = (self.weight == self.weight[:1]).all() and (self.bias == self.bias[:1]).all()
        return bool(same)

    def output_shape(self, x: Shape) -> Shape:
        fits = self.axis < len(x) and self.weight.shape == self.bias.shape == (x[self.axis],)
        if not fits:
            raise GraphError(f"weight {self.weight.shape} does not fit an input of shape {x}")
        return x


@dataclass(frozen=True, slots=True)
class Unary:
    """A function of each value; its subclasses say which."""

    def output_shape(self, x: Shape) -> Shape:
        return x


class Abs(Unary):
    """The magnitude."""


class Erf(Unary):
    """The error function, which TFLite has only as part of a GELU."""


class Exp(Unary):
    """e to the power of x."""


class Log(Unary):
    """The natural logarithm."""


class Sqrt(Unary):
    """The square root."""


class Rsqrt(Unary):
    """1 / sqrt(x): what LayerNormalization divides by."""


class Sigmoid(Unary):
    """1 / (1 + exp(-x))."""


class Tanh(Unary):
    """The hyperbolic tangent."""


class HardSwish(Unary):
    """x * min(max(x + 3, 0), 6) / 6 (Howard et al., Searching for MobileNetV3, 2019)."""


class Elu(Unary):
    """x above 0, exp(x) - 1 below."""


@dataclass(frozen=True, slots=True)
class Gelu(Unary):
    """x times the normal distribution's cumulative share below it; or its form by tanh."""

    tanh: bool = False


@dataclass(frozen=True, slots=True)
class LeakyRelu(Unary):
    """x above 0, `slope` * x below."""

    slope: float = 0.01


@dataclass(frozen=True, slots=True)
class Binary:
    """A function of two values whose shapes broadcast; its subclasses say which."""

    def output_shape(self, a: Shape, b: Shape) -> Shape:
        return broadcast(a, b)


@dataclass(frozen=True, slots=True)
class Add(Binary):
    """a + b."""

    clamp: Clamp | None = None


@dataclass(frozen=True, slots=True)
class Sub(Binary):
    """a - b."""

    clamp: Clamp | None = None


@dataclass(frozen=True, slots=True)
class Mul(Binary):
    """a * b."""

    clamp: Clamp | None = None


@dataclass(frozen=True, slots=True)
class Div(Binary):
    """a / b."""

    clamp: Clamp | None = None


class Pow(Binary):
    """a to the power of b."""


class Minimum(Binary):
    """The smaller of both."""


class Maximum(Binary):
    """The larger of both."""


class PRelu(Binary):
    """a above 0, a * b below."""
