"""Operators that slide a window over the pixels of [N, C, H, W]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from converters.errors import GraphError
from converters.operators.elementwise import Clamp
from converters.operators.shapes import Pads, Pair, Shape, window_output
from edge.tensors import F32


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


@dataclass(frozen=True, slots=True)
class AveragePool:
    """The mean over a window; padding counts in it as zeros where `count_padding` says so."""

    kernel: Pair
    strides: Pair
    pads: Pads = (0, 0, 0, 0)
    count_padding: bool = False

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
class GlobalAveragePool:
    """The mean over all pixels, [N, C, H, W] to [N, C, 1, 1]."""

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != 4:
            raise GraphError(f"an input of shape {x} has no pixels")
        return (x[0], x[1], 1, 1)


@dataclass(frozen=True, slots=True)
class Resize:
    """Height and width brought to `size`, by the nearest pixel or linearly between the nearest.

    `grid` says which place of the input a place of the output is: "half_pixel" and "asymmetric"
    as ONNX calls them, or "align_corners". The nearest pixel is that below ("floor").
    """

    size: Pair
    linear: bool
    grid: Literal["half_pixel", "asymmetric", "align_corners"]

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != 4:
            raise GraphError(f"an input of shape {x} has no pixels")
        return (*x[:2], *self.size)
