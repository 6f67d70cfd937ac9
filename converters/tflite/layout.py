"""How TFLite keeps a value: which of its axes lie where in memory.

ONNX thinks of an image as [N, C, H, W], TFLite as [N, H, W, C]; a Transpose or a Reshape of such a
value need not move anything, if it is remembered what lies where. A `Layout` remembers it: memory
is a row-major array of `sizes`, and each axis of the ONNX value is a product of some of them. So a
chain of Reshape and Transpose costs nothing, until an operator needs its axes in an order of its
own; then `moves` says the one transposition that brings them there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from converters.operators import Shape
from edge.tensors import IMAGE_CHANNELS, Array

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)

Factors = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the axes of an ONNX value lie.

    `sizes`: memory's own axes, slowest first, none of size 1. `axes`: for each ONNX axis, the
    places in `sizes` that it is made of, slowest first; none for an axis of size 1. Canonical:
    places that follow each other in memory and in one axis are one.
    """

    sizes: Factors
    axes: tuple[Factors, ...]

    @property
    def shape(self) -> Shape:
        """The ONNX value's shape."""
        return tuple(math.prod(self.sizes[place] for place in axis) for axis in self.axes)

    @property
    def is_plain(self) -> bool:
        """Whether memory is ONNX's own row-major order."""
        return tuple(chain.from_iterable(self.axes)) == tuple(range(len(self.sizes)))

    def transposed(self, order: Sequence[int]) -> Layout:
        """Return the layout of the Transpose by `order` (ONNX's perm) of this value."""
        return Layout(self.sizes, tuple(self.axes[axis] for axis in order))

    def reshaped(self, shape: Shape) -> Layout | None:
        """Return the layout of this value's Reshape to `shape`; None where it must move first."""
        factors = [self.sizes[place] for place in chain.from_iterable(self.axes)]
        target = [side for side in shape if side > 1]
        parts = _common(factors, target)
        if parts is None:
            return None
        fine = self._split(parts)
        flat = list(chain.from_iterable(fine.axes))
        axes, at = [], 0
        for side in shape:
            count = _count(parts, at, side)
            axes.append(tuple(flat[at : at + count]))
            at += count
        return canonical(fine.sizes, axes)

    def order_of(self, axis: int) -> tuple[Factors, Factors]:
        """Return how one axis lies: its factors in ONNX's order, and their order in memory.

        A constant along that axis is brought to memory's order by
        `constant.reshape(factors).transpose(order)`.
        """
        places = self.axes[axis]
        factors = tuple(self.sizes[place] for place in places)
        return factors, tuple(sorted(range(len(places)), key=places.__getitem__))

    def ends_with(self, axis: int) -> bool:
        """Whether an axis, in whatever order, lies at memory's end, so that the rest is before."""
        places = self.axes[axis]
        return set(places) == set(range(len(self.sizes) - len(places), len(self.sizes)))

    def to_onnx(self, array: Array) -> Array:
        """Return an array of memory (any shape) as the ONNX value (a view where possible)."""
        places = tuple(chain.from_iterable(self.axes))
        return array.reshape(self.sizes).transpose(places).reshape(self.shape)

    def from_onnx(self, value: Array) -> Array:
        """Return the ONNX value as memory keeps it, an array of `sizes`."""
        places = tuple(chain.from_iterable(self.axes))
        factors = [self.sizes[place] for place in places]
        inverse = sorted(range(len(places)), key=places.__getitem__)
        return value.reshape(factors).transpose(inverse)

    def _split(self, parts: Sequence[int]) -> Layout:
        """Return the same layout (not canonical) with places cut into `parts`, in ONNX's order."""
        cut: dict[int, Factors] = {}
        at = 0
        for place in chain.from_iterable(self.axes):
            count = _count(parts, at, self.sizes[place])
            cut[place] = tuple(parts[at : at + count])
            at += count
        first: dict[int, int] = {}
        sizes: list[int] = []
        for place in range(len(self.sizes)):
            first[place] = len(sizes)
            sizes += cut[place]
        axes = tuple(
            tuple(first[place] + i for place in axis for i in range(len(cut[place])))
            for axis in self.axes
        )
        return Layout(tuple(sizes), axes)


def arranged(shape: Shape, order: Sequence[int]) -> Layout:
    """Return the layout that keeps the axes of an ONNX `shape` whole, in `order` from slowest."""
    large = [axis for axis in order if shape[axis] > 1]
    places = {axis: (place,) for place, axis in enumerate(large)}
    axes = [places.get(axis, ()) for axis in range(len(shape))]
    return canonical(tuple(shape[axis] for axis in large), axes)


def plain(shape: Shape) -> Layout:
    """Return the layout that is ONNX's own."""
    return arranged(shape, range(len(shape)))


def default(shape: Shape) -> Layout:
    """Return where a value of `shape` lies if it is free to choose: an image with channels last."""
    return arranged(shape, TO_NHWC) if len(shape) == 4 else plain(shape)


def of_input(shape: Shape) -> Layout:
    """Return where an input lies: an image with its channels last, which it may have already."""
    is_turned = len(shape) == 4 and shape[3] in IMAGE_CHANNELS and shape[1] not in IMAGE_CHANNELS
    return plain(shape) if is_turned else default(shape)


def canonical(sizes: Factors, axes: Sequence[Factors]) -> Layout:
    """Return the layout with neighbours joined that are neighbours in their axis too."""
    follows = {b for axis in axes for a, b in pairwise(axis) if b == a + 1}
    joined: list[int] = []
    renamed: dict[int, int] = {}
    for place, size in enumerate(sizes):
        if place in follows:
            joined[-1] *= size
        else:
            renamed[place] = len(joined)
            joined.append(size)
    kept = (tuple(renamed[place] for place in axis if place in renamed) for axis in axes)
    return Layout(tuple(joined), tuple(kept))


@dataclass(frozen=True, slots=True)
class Move:
    """A transposition of memory: seen as an array of `sizes`, its axes in `order`."""

    sizes: Factors
    order: Factors

    @property
    def is_nothing(self) -> bool:
        return self.order == tuple(range(len(self.order)))


def moves(source: Layout, target: Layout) -> tuple[Move, ...]:
    """Return what brings memory from one layout of a value to another of the same shape.

    Nothing, one transposition, or two where their factors do not fit (a 6 that is 2 x 3 in one and
    3 x 2 in the other, both scrambled): by way of the plain order.
    """
    if source == target:
        return ()
    parts = _common(_factors(source), _factors(target))
    if parts is None:
        middle = plain(source.shape)
        return (*moves(source, middle), *moves(middle, target))
    before, after = source._split(parts), target._split(parts)  # noqa: SLF001 (of one kind)
    place_before = list(chain.from_iterable(before.axes))
    place_after = list(chain.from_iterable(after.axes))
    order = [0] * len(parts)
    for old, new in zip(place_before, place_after, strict=True):
        order[new] = old
    move = _joined(before.sizes, order)
    return () if move.is_nothing else (move,)


def _joined(sizes: Factors, order: Sequence[int]) -> Move:
    """Return the transposition with axes joined that stay together."""
    groups: list[list[int]] = []
    for old in order:
        if groups and old == groups[-1][-1] + 1:
            groups[-1].append(old)
        else:
            groups.append([old])
    ranked = sorted(range(len(groups)), key=lambda index: groups[index][0])
    rank = {index: place for place, index in enumerate(ranked)}
    joined = tuple(math.prod(sizes[old] for old in groups[index]) for index in ranked)
    return Move(joined, tuple(rank[index] for index in range(len(groups))))


def _factors(layout: Layout) -> list[int]:
    return [layout.sizes[place] for place in chain.from_iterable(layout.axes)]


def _common(first: Sequence[int], second: Sequence[int]) -> list[int] | None:
    """Return the coarsest factors that both lists of factors, of one product, are made of.

    (4, 6) and (2, 12) give (2, 2, 6); None where there are none, as of (2, 3) and (3, 2).
    """
    parts: list[int] = []
    left, right = list(first), list(second)
    a = b = 1
    while left or right or a > 1 or b > 1:
        a = left.pop(0) if a == 1 else a
        b = right.pop(0) if b == 1 else b
        small, large = sorted((a, b))
        if large % small:
            return None
        parts.append(small)
        a, b = a // small, b // small
    return parts


def _count(parts: Sequence[int], at: int, size: int) -> int:
    """Return how many of `parts` from `at` on make up `size`."""
    count = 0
    while size > 1:
        size //= parts[at + count]
        count += 1
    return count


def projected(layout: Layout, shape: Shape) -> Layout:
    """Return how an operand of `shape`, which broadcasts to the layout's value, lies beside it.

    Args: shape: of the same rank, each side that of the layout's value or 1.
    """
    kept = sorted(
        place for axis, side in zip(layout.axes, shape, strict=True) if side > 1 for place in axis
    )
    renamed = {old: new for new, old in enumerate(kept)}
    axes = [
        tuple(renamed[place] for place in axis) if side > 1 else ()
        for axis, side in zip(layout.axes, shape, strict=True)
    ]
    return canonical(tuple(layout.sizes[place] for place in kept), axes)


def without(layout: Layout, reduced: Sequence[int]) -> Layout:
    """Return the layout of the same value with the axes `reduced` brought down to size 1."""
    shape = [1 if axis in reduced else side for axis, side in enumerate(layout.shape)]
    return projected(layout, tuple(shape))


def beside(dims: Shape, layout: Layout, shape: Shape) -> Shape | None:
    """Return the dimensions of an operand of `shape` that broadcasts to a tensor of `dims`.

    Args: dims: how the tensor of `layout` is cut into dimensions; shape: as for `projected`.
    Returns: each dimension or 1; None where one holds both what is kept and what is not.
    """
    kept = {
        place for axis, side in zip(layout.axes, shape, strict=True) if side > 1 for place in axis
    }
    place, left, found = -1, 1, []
    for dim in dims:
        need, flags = dim, set()
        while need > 1:
            if left == 1:
                place += 1
                left = layout.sizes[place]
            flags.add(place in kept)
            small = min(need, left)
            if need % small or left % small:
                return None
            need, left = need // small, left // small
        if len(flags) > 1:
            return None
        found.append(dim if True in flags else 1)
    return tuple(found)


def order_of_axes(layout: Layout) -> tuple[int, ...] | None:
    """Return the ONNX axes from slowest to fastest in memory; None where one is scattered.

    Axes of size 1 lie nowhere: in an image they are put where `default` has them.
    """
    if any(len(places) > 1 for places in layout.axes):
        return None
    rank = len(layout.axes)
    usual = TO_NHWC if rank == 4 else tuple(range(rank))
    large = iter(sorted((a for a in usual if layout.axes[a]), key=layout.axes.__getitem__))
    return tuple(next(large) if layout.axes[axis] else axis for axis in usual)
