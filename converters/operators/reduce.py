"""Operators that bring axes together: sums over them, or shares of them."""

from __future__ import annotations

from dataclasses import dataclass

from converters.operators.shapes import Shape, check_axes


@dataclass(frozen=True, slots=True)
class Reduce:
    """One value for all along `axes`, which stay with size 1 where `keep` says so."""

    axes: tuple[int, ...]
    keep: bool = True

    def output_shape(self, x: Shape) -> Shape:
        check_axes(self.axes, len(x))
        kept = (1 if axis in self.axes else side for axis, side in enumerate(x))
        if self.keep:
            return tuple(kept)
        return tuple(side for axis, side in enumerate(x) if axis not in self.axes)


class ReduceMean(Reduce):
    """The mean."""


class ReduceSum(Reduce):
    """The sum."""


class ReduceMax(Reduce):
    """The largest."""


class ReduceMin(Reduce):
    """The smallest."""


@dataclass(frozen=True, slots=True)
class Softmax:
    """exp(x) over its sum along `axis`."""

    axis: int = 1

    def output_shape(self, x: Shape) -> Shape:
        check_axes((self.axis,), len(x))
        return x


@dataclass(frozen=True, slots=True)
class LogSoftmax:
    """The logarithm of the softmax along `axis`."""

    axis: int = 1

    def output_shape(self, x: Shape) -> Shape:
        check_axes((self.axis,), len(x))
        return x
