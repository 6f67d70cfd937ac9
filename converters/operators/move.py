"""Operators that compute nothing: they say where values come from and where they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from converters.errors import GraphError
from converters.operators.shapes import Shape, broadcast, check_axes, same_size
from converters.quantize.params import QuantParams
from edge.tensors import F32


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value that does not depend on the input."""

    value: F32

    def output_shape(self) -> Shape:
        return self.value.shape


@dataclass(frozen=True, slots=True)
class Requantize:
    """The same value with other integers, for a reader that wants all its inputs on one scale.

    Those of `params` where a file that is already quantized says so.
    """

    params: QuantParams | None = None

    def output_shape(self, x: Shape) -> Shape:
        return x


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same values in the same (row-major) order under another shape."""

    shape: Shape

    def output_shape(self, x: Shape) -> Shape:
        same_size(x, self.shape)
        return self.shape


@dataclass(frozen=True, slots=True)
class Transpose:
    """Output axis i is input axis `order[i]`."""

    order: tuple[int, ...]

    def output_shape(self, x: Shape) -> Shape:
        check_axes(self.order, len(x))
        if len(self.order) != len(x):
            raise GraphError(f"an order of {len(self.order)} axes for an input of shape {x}")
        return tuple(x[axis] for axis in self.order)


@dataclass(frozen=True, slots=True)
class Concat:
    """Its inputs one behind the other along `axis`."""

    axis: int

    def output_shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        check_axes((self.axis,), len(first))
        for other in inputs:
            if len(other) != len(first) or any(
                a != b
                for axis, (a, b) in enumerate(zip(first, other, strict=True))
                if axis != self.axis
            ):
                raise GraphError(f"shapes {first} and {other} differ beside axis {self.axis}")
        total = sum(shape[self.axis] for shape in inputs)
        return (*first[: self.axis], total, *first[self.axis + 1 :])


@dataclass(frozen=True, slots=True)
class Slice:
    """Along `axes[i]`, every `steps[i]`-th value from `starts[i]` to before `stops[i]`.

    All are positive and within the input: `stops` may be the side itself.
    """

    axes: tuple[int, ...]
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]

    def output_shape(self, x: Shape) -> Shape:
        check_axes(self.axes, len(x))
        sides = list(x)
        for axis, start, stop, step in zip(
            self.axes, self.starts, self.stops, self.steps, strict=True
        ):
            if not (0 <= start < stop <= x[axis] and step >= 1):
                raise GraphError(f"{start} to {stop} by {step} is no part of {x[axis]}")
            sides[axis] = -(-(stop - start) // step)
        return tuple(sides)


@dataclass(frozen=True, slots=True)
class Pad:
    """`before[i]` and `after[i]` more along axis i: of `value`, or mirrored without the edge."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0
    mode: Literal["constant", "reflect"] = "constant"

    def output_shape(self, x: Shape) -> Shape:
        if len(self.before) != len(x) or len(self.after) != len(x):
            raise GraphError(f"pads of {len(self.before)} axes for an input of shape {x}")
        return tuple(b + side + a for b, side, a in zip(self.before, x, self.after, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Gather:
    """The values at `indices` (int64, not negative, any shape) along `axis`."""

    axis: int
    indices: np.typing.NDArray[np.int64]

    def output_shape(self, x: Shape) -> Shape:
        check_axes((self.axis,), len(x))
        if self.indices.size and not 0 <= self.indices.min() <= self.indices.max() < x[self.axis]:
            raise GraphError(f"indices up to {self.indices.max()} of an axis of {x[self.axis]}")
        return (*x[: self.axis], *self.indices.shape, *x[self.axis + 1 :])


@dataclass(frozen=True, slots=True)
class Expand:
    """The input repeated along its axes of size 1 until it has `shape` (of the same rank)."""

    shape: Shape

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != len(self.shape) or broadcast(x, self.shape) != self.shape:
            raise GraphError(f"{x} does not expand to {self.shape}")
        return self.shape


@dataclass(frozen=True, slots=True)
class Tile:
    """The input laid out `repeats[i]` times along axis i."""

    repeats: tuple[int, ...]

    def output_shape(self, x: Shape) -> Shape:
        if len(self.repeats) != len(x) or min(self.repeats, default=1) < 1:
            raise GraphError(f"repeats {list(self.repeats)} for an input of shape {x}")
        return tuple(side * count for side, count in zip(x, self.repeats, strict=True))


@dataclass(frozen=True, slots=True)
class DepthToSpace:
    """Blocks of channels [N, C, H, W] spread over blocks of `block` x `block` pixels.

    Channel (i * block + j) * C' + c goes to pixel (i, j) of its block: ONNX's DCR.
    """

    block: int

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != 4 or x[1] % self.block**2:
            raise GraphError(f"blocks of {self.block} do not fit an input of shape {x}")
        return (x[0], x[1] // self.block**2, x[2] * self.block, x[3] * self.block)


@dataclass(frozen=True, slots=True)
class SpaceToDepth:
    """Blocks of `block` x `block` pixels stacked as channels: pixel (i, j) first, then C."""

    block: int

    def output_shape(self, x: Shape) -> Shape:
        if len(x) != 4 or x[2] % self.block or x[3] % self.block:
            raise GraphError(f"blocks of {self.block} do not fit an input of shape {x}")
        return (x[0], x[1] * self.block**2, x[2] // self.block, x[3] // self.block)
