"""Where values lie, against NumPy doing the same to an array of numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.operators import Shape
from converters.tflite.layout import (
    Layout,
    Move,
    arranged,
    beside,
    default,
    moves,
    order_of_axes,
    plain,
    projected,
    without,
)
from edge.tensors import Array

shapes = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4).map(tuple)


def numbered(shape: Shape) -> Array:
    return np.arange(math.prod(shape)).reshape(shape)


def moved(memory: Array, steps: tuple[Move, ...]) -> Array:
    for step in steps:
        memory = memory.reshape(step.sizes).transpose(step.order)
    return memory


@st.composite
def factorings(draw: st.DrawFn, count: int) -> Shape:
    """Draw a shape of `count` values."""
    sides = []
    while count > 1:
        side = draw(st.sampled_from([d for d in range(1, count + 1) if count % d == 0]))
        sides.append(side)
        count //= side
    return tuple(sides) or (1,)


@st.composite
def scattered(draw: st.DrawFn) -> tuple[Array, Array, Layout]:
    """Draw a value, and how it lies after some Transposes and Reshapes that moved nothing."""
    shape = draw(shapes)
    value = numbered(shape)
    layout = arranged(shape, draw(st.permutations(range(len(shape)))))
    memory = layout.from_onnx(value)
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            order = draw(st.permutations(range(value.ndim)))
            value, layout = value.transpose(order), layout.transposed(order)
        else:
            target = draw(factorings(value.size))
            reshaped = layout.reshaped(target)
            if reshaped is not None:
                value, layout = value.reshape(target), reshaped
    return value, memory, layout


@given(scattered())
def test_transposes_and_reshapes_move_nothing(drawn: tuple[Array, Array, Layout]) -> None:
    value, memory, layout = drawn
    assert layout.shape == value.shape
    assert 1 not in layout.sizes
    np.testing.assert_array_equal(layout.to_onnx(memory), value)
    np.testing.assert_array_equal(layout.from_onnx(value), memory.reshape(layout.sizes))
    assert layout.is_plain == np.array_equal(memory.ravel(), value.ravel())


@given(scattered(), st.data())
def test_moves_bring_any_layout_to_any_other(
    drawn: tuple[Array, Array, Layout], data: st.DataObject
) -> None:
    value, memory, layout = drawn
    target = arranged(value.shape, data.draw(st.permutations(range(value.ndim))))
    there = moves(layout, target)
    np.testing.assert_array_equal(target.to_onnx(moved(memory, there)), value)
    back = moves(target, layout)
    np.testing.assert_array_equal(moved(target.from_onnx(value), back).ravel(), memory.ravel())
    # From and to an order of whole axes one transposition is always enough.
    assert len(there) <= 1
    assert all(not step.is_nothing for step in there)
    assert bool(there) == (not np.array_equal(memory.ravel(), target.from_onnx(value).ravel()))


@given(scattered())
def test_a_constant_along_an_axis_is_brought_to_memorys_order(
    drawn: tuple[Array, Array, Layout],
) -> None:
    value, memory, layout = drawn
    for axis in range(value.ndim):
        if layout.ends_with(axis):
            factors, order = layout.order_of(axis)
            constant = np.arange(value.shape[axis])
            in_memory = constant.reshape(factors).transpose(order).ravel()
            beside_it = [-1 if other == axis else 1 for other in range(value.ndim)]
            expected = np.broadcast_to(constant.reshape(beside_it), value.shape)
            found = memory.reshape(-1, value.shape[axis]) * 0 + in_memory
            np.testing.assert_array_equal(layout.to_onnx(found), expected)


@given(scattered(), st.data())
def test_an_operand_beside_a_value_broadcasts_in_memory(
    drawn: tuple[Array, Array, Layout], data: st.DataObject
) -> None:
    value, memory, layout = drawn
    kept = tuple(side if data.draw(st.booleans()) else 1 for side in value.shape)
    small = numbered(kept)
    own = projected(layout, kept)
    np.testing.assert_array_equal(own.to_onnx(own.from_onnx(small)), small)
    dims = beside(layout.sizes, layout, kept)
    assert dims is not None
    found = memory.reshape(layout.sizes) + own.from_onnx(small).reshape(dims)
    np.testing.assert_array_equal(layout.to_onnx(found), value + small)


def test_beside_says_where_one_dimension_holds_what_stays_and_what_goes() -> None:
    layout = arranged((1, 3, 4, 5), (0, 2, 3, 1))
    assert beside((1, 4, 5, 3), layout, (1, 3, 1, 1)) == (1, 1, 1, 3)
    assert beside((1, 4, 5, 3), layout, (1, 1, 4, 1)) == (1, 4, 1, 1)
    assert beside((20, 3), layout, (1, 3, 1, 1)) == (1, 3)
    assert beside((20, 3), layout, (1, 1, 4, 1)) is None
    assert beside((7, 60), layout, (1, 3, 4, 5)) is None


def test_a_reshape_across_what_lies_together_must_move_first() -> None:
    image = default((1, 3, 4, 5))
    assert image.reshaped((1, 60)) is not None  # flattened: the axis lies in another order
    assert image.reshaped((1, 3, 20)) is not None
    assert image.reshaped((1, 12, 5)) is not None
    assert image.reshaped((4, 15)) is None
    assert plain((2, 3)).reshaped((3, 2)) is None
    assert plain((6,)).reshaped((3, 2)) == plain((3, 2))


def test_a_shuffle_of_channels_and_its_undoing_cancel() -> None:
    image = default((1, 6, 4, 5))
    apart = image.reshaped((1, 2, 3, 4, 5))
    assert apart is not None
    shuffled = apart.transposed((0, 2, 1, 3, 4)).reshaped((1, 6, 4, 5))
    assert shuffled is not None
    (move,) = moves(shuffled, image)
    assert move == Move((20, 2, 3), (0, 2, 1))
    again = shuffled.reshaped((1, 3, 2, 4, 5))
    assert again is not None
    assert again.transposed((0, 2, 1, 3, 4)).reshaped((1, 6, 4, 5)) == image


def test_two_scattered_layouts_without_common_factors_go_by_way_of_the_plain_one() -> None:
    first = plain((2, 3)).transposed((1, 0)).reshaped((6,))
    second = plain((3, 2)).transposed((1, 0)).reshaped((6,))
    assert first is not None
    assert second is not None
    steps = moves(first, second)
    assert len(steps) == 2
    value = np.arange(6)
    found = moved(first.from_onnx(value), steps)
    np.testing.assert_array_equal(second.to_onnx(found), value)


@pytest.mark.parametrize(
    ("layout", "order"),
    [
        (default((1, 3, 4, 5)), (0, 2, 3, 1)),
        (default((1, 3, 1, 1)), (0, 2, 3, 1)),
        (plain((1, 3, 4, 5)), (0, 1, 2, 3)),
        (plain((2, 3, 4)).transposed((2, 0, 1)), (1, 2, 0)),
        (plain((2, 3, 4)), (0, 1, 2)),
        (default((1, 3, 4, 5)).reshaped((1, 60)), None),
    ],
)
def test_order_of_axes(layout: Layout, order: tuple[int, ...] | None) -> None:
    assert order_of_axes(layout) == order


def test_without_an_axis() -> None:
    layout = default((1, 3, 4, 5))
    assert without(layout, (2, 3)) == default((1, 3, 1, 1))
    assert without(layout, (1,)) == default((1, 1, 4, 5))
