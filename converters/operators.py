"""The closed set of operators that a Graph is made of.

Each is a frozen value: its attributes, its constants, and the shape that it gives. Layout is
ONNX's: activations [N, C, H, W] or [N, C], with N = 1; convolution weights [O, I/groups, kH, kW].
Arrays held here are float32 and are never written to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from converters.errors import GraphError
from edge.tensors import F32

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[int, int, int, int]  # top, left, bottom, right: ONNX's order

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
    """y = gain[c] * x + offset[c] along axis 1: what a BatchNormalization is at inference."""

    gain: F32
    offset: F32

    def output_shape(self, x: Shape) -> Shape:
        if len(x) < 2 or self.gain.shape != (x[1],) or self.offset.shape != (x[1],):
            raise GraphError(f"gain {self.gain.shape} does not fit an input of shape {x}")
        return x


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """2-D convolution. weight: [O, I/groups, kH, kW]; bias: [O]."""

    weight: F32
    bias: F32
    strides: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilations: Pair = (1, 1)
    groups: int = 1
    clamp: Clamp | None = None

    @property
    def kernel(self) -> Pair:
        return (self.weight.shape[2], self.weight.shape[3])

    @property
    def is_depthwise(self) -> bool:
        """One input channel a group, and every input channel used."""
        return self.groups > 1 and self.weight.shape[1] == 1

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != 4 or x[1] != self.weight.shape[1] * self.groups:
            raise GraphError(f"weight {self.weight.shape} does not fit an input of shape {x}")
        if self.weight.shape[0] % self.groups or self.bias.shape != self.weight.shape[:1]:
            raise GraphError(f"weight {self.weight.shape} and bias {self.bias.shape} do not fit")
        height, width = window_output(x, self.kernel, self.strides, self.pads, self.dilations)
        return (x[0], self.weight.shape[0], height, width)


@dataclass(frozen=True, slots=True, eq=False)
class Gemm:
    """Fully connected: y = x W^T + b. weight: [O, I]; bias: [O]."""

    weight: F32
    bias: F32
    clamp: Clamp | None = None

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != 2 or x[1] != self.weight.shape[1] or self.bias.shape != self.weight.shape[:1]:
            raise GraphError(f"weight {self.weight.shape} does not fit an input of shape {x}")
        return (x[0], self.weight.shape[0])


@dataclass(frozen=True, slots=True)
class Add:
    """The sum of two activations of one shape."""

    clamp: Clamp | None = None

    def output_shape(self, a: Shape, b: Shape) -> Shape:
        if a != b:
            raise GraphError(f"shapes {a} and {b} differ")
        return a


@dataclass(frozen=True, slots=True)
class GlobalAveragePool:
    """The mean over all pixels, [N, C, H, W] to [N, C, 1, 1]."""

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != 4:
            raise GraphError(f"an input of shape {x} has no pixels")
        return (x[0], x[1], 1, 1)


@dataclass(frozen=True, slots=True)
class AveragePool:
    """The mean over a window; padding is not counted in it."""

    kernel: Pair
    strides: Pair
    pads: Pads = (0, 0, 0, 0)

    def output_shape(self, x: Shape) -> Shape:
        return (*x[:2], *window_output(x, self.kernel, self.strides, self.pads))


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The maximum over a window; padding never wins."""

    kernel: Pair
    strides: Pair
    pads: Pads = (0, 0, 0, 0)

    def output_shape(self, x: Shape) -> Shape:
        return (*x[:2], *window_output(x, self.kernel, self.strides, self.pads))


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same values in the same (row-major) order under another shape."""

    shape: Shape

    def output_shape(self, x: Shape) -> Shape:
        if math.prod(x) != math.prod(self.shape):
            raise GraphError(f"{x} and {self.shape} do not hold equally many values")
        return self.shape


@dataclass(frozen=True, slots=True)
class Softmax:
    """exp(x) over its sum along the last axis of [N, C]."""

    def output_shape(self, x: Shape) -> Shape:
        return x


Operator: TypeAlias = (
    Clamp
    | Affine
    | Conv
    | Gemm
    | Add
    | GlobalAveragePool
    | AveragePool
    | MaxPool
    | Reshape
    | Softmax
)
# The operators that end in a clamp when one follows them.
Clamped: TypeAlias = Conv | Gemm | Add


def clamp_of(operator: Operator) -> Clamp | None:
    """Return the clamp that an operator carries, None where it carries none."""
    return operator.clamp if isinstance(operator, Clamped) else None


def window_output(
    x: Shape, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair = (1, 1)
) -> Pair:
    """Return (height, width) after a sliding window, rounding down (ONNX's formula).

    Raises: GraphError: the input has no pixels, or the window is larger than the padded input.
    """
    if len(x) != 4:
        raise GraphError(f"an input of shape {x} has no pixels")
    sides = []
    for axis in (0, 1):
        padded = x[2 + axis] + pads[axis] + pads[axis + 2]
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        if reach > padded:
            raise GraphError(f"a window of {reach} does not fit a padded input of {padded}")
        sides.append((padded - reach) // strides[axis] + 1)
    return (sides[0], sides[1])


def multiply_adds(operator: Operator, output: Shape) -> int:
    """Return the multiply-accumulate operations of one inference (convolutions and Gemm only)."""
    if isinstance(operator, Conv | Gemm):
        pixels = math.prod(output[2:]) if isinstance(operator, Conv) else 1
        return int(np.prod(operator.weight.shape)) * pixels
    return 0
