"""Where a tensor's dimensions go, and that a value is moved once for all who want it so."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.graph import Graph
from converters.operators import Constant, Shape
from converters.tflite.builder import TfliteBuilder
from converters.tflite.context import (
    NHWC,
    Context,
    Held,
    Placed,
    _order_of_dims,
    in_order,
    usual,
)
from converters.tflite.layout import Layout, Move, arranged, canonical, default, moves, plain
from converters.tflite.numbers import FloatNumbers
from converters.tflite.opcodes import RESHAPE, TRANSPOSE
from edge.tensors import Array
from tests.converters.models import f32, normal

IMAGE: Shape = (1, 3, 4, 5)


@pytest.mark.parametrize(
    ("dims", "move", "target", "order"),
    [
        # [N, H, W, C] to [N, C, H, W]: rows and columns move as one.
        ((1, 4, 5, 3), Move((20, 3), (1, 0)), (1, 3, 4, 5), (0, 3, 1, 2)),
        # A dimension of size 1 fills whatever place wants one.
        ((1, 1, 5, 3), Move((5, 3), (1, 0)), (3, 1, 1, 5), (3, 0, 1, 2)),
        ((2, 3), Move((2, 3), (1, 0)), (3, 2), (1, 0)),
        # The tensor's own dimensions do not say where 6 is to be cut.
        ((6, 5), Move((2, 3, 5), (1, 0, 2)), (3, 10), None),
        # They do, but the target is cut otherwise.
        ((1, 4, 5, 3), Move((20, 3), (1, 0)), (1, 1, 3, 20), None),
        ((4, 5, 3), Move((20, 3), (1, 0)), (3, 20), None),
        # 4 is no product of leading dimensions.
        ((2, 3, 2), Move((4, 3), (1, 0)), (3, 2, 2), None),
    ],
)
def test_order_of_dims(
    dims: Shape, move: Move, target: Shape, order: tuple[int, ...] | None
) -> None:
    assert _order_of_dims(dims, move, target) == order


@given(
    st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=5).map(tuple),
    st.permutations(range(5)),
)
def test_order_of_dims_moves_memory_as_the_move_does(dims: Shape, drawn: list[int]) -> None:
    permutation = [axis for axis in drawn if axis < len(dims)]
    source, target = plain(dims), arranged(dims, permutation)
    for move in moves(source, target):
        memory = np.arange(math.prod(dims))
        wanted = memory.reshape(move.sizes).transpose(move.order)
        goal = tuple(dims[axis] for axis in permutation)
        order = _order_of_dims(dims, move, goal)
        assert order is not None
        found = memory.reshape(dims).transpose(order)
        assert found.shape == goal
        np.testing.assert_array_equal(found.ravel(), wanted.ravel())


def context(shape: Shape = IMAGE) -> Context:
    """Return a file in which a value `x` lies as is usual."""
    made = Context(TfliteBuilder("t"), FloatNumbers(Graph("tiny", {"x": shape}, ("x",), ())))
    made.add_value("x", usual(shape))
    return made


def codes(made: Context) -> list[str]:
    kinds = list(made.builder.opcodes)
    names = {RESHAPE: "RESHAPE", TRANSPOSE: "TRANSPOSE"}
    return [names[kinds[operator.opcodeIndex]] for operator in made.builder.operators]


def dims(made: Context, tensor: int) -> list[int]:
    return [int(side) for side in made.builder.tensors[tensor].shape]


def test_what_lies_as_wanted_is_not_moved() -> None:
    made = context()
    assert made.brought("x", usual(IMAGE)) == made.in_order("x", NHWC) == made.held["x"].tensor
    assert codes(made) == []


def test_another_order_is_one_transposition_for_all_who_want_it() -> None:
    made = context()
    first, again = (made.in_order("x", range(4)) for _ in range(2))
    assert first == again
    assert codes(made) == ["TRANSPOSE"]
    assert dims(made, first) == list(IMAGE)
    made.in_order("x", (0, 1, 3, 2))
    assert codes(made) == ["TRANSPOSE", "TRANSPOSE"]
    # Where it is held stays as it was.
    assert made.placed("x") == usual(IMAGE)


def test_other_dimensions_alone_are_a_reshape() -> None:
    made = context()
    tensor = made.brought("x", Placed((20, 3), default(IMAGE)))
    assert codes(made) == ["RESHAPE"]
    assert dims(made, tensor) == [20, 3]
    made.brought("x", Placed((20, 3), default(IMAGE)))
    assert len(made.builder.operators) == 1


def test_dimensions_that_cut_across_a_move_are_reshaped_around_it() -> None:
    made = context()
    made.brought("x", Placed((3, 20), plain(IMAGE)))
    assert codes(made) == ["RESHAPE", "TRANSPOSE"]
    channels_in_two = canonical((4, 5, 3, 2), [(), (3, 2), (0,), (1,)])
    shuffled = context((1, 6, 4, 5))
    shuffled.brought("x", Placed((1, 4, 5, 6), channels_in_two))
    assert codes(shuffled) == ["RESHAPE", "TRANSPOSE", "RESHAPE"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_what_is_brought_holds_the_value(order: tuple[int, ...]) -> None:
    made = context()
    value = normal(*IMAGE)
    memory = {made.held["x"].tensor: made.placed("x").turned(value)}
    tensor = made.in_order("x", order)
    for operator in made.builder.operators:
        source, argument = operator.inputs
        numbers = np.frombuffer(
            made.builder.buffers[made.builder.tensors[argument].buffer].data, np.int32
        )
        (output,) = operator.outputs
        is_move = list(made.builder.opcodes)[operator.opcodeIndex] == TRANSPOSE
        before = memory[source]
        memory[output] = before.transpose(numbers) if is_move else before.reshape(numbers)
    np.testing.assert_array_equal(memory[tensor], value.transpose(order), strict=True)


def test_a_constant_is_written_as_it_is_wanted() -> None:
    value = f32(np.arange(60)).reshape(IMAGE)
    made = Context(TfliteBuilder("t"), FloatNumbers(Graph("tiny", {"x": IMAGE}, ("x",), ())))
    made.constants["x"] = Constant(value)
    tensor = made.in_order("x", NHWC)
    assert made.in_order("x", NHWC) == tensor
    assert dims(made, tensor) == [1, 4, 5, 3]
    found: Array = np.frombuffer(made.builder.buffers[-1].data, np.float32)
    np.testing.assert_array_equal(found, value.transpose(NHWC).ravel())
    assert codes(made) == []
    assert made.order("x") == NHWC


def test_order_of_a_scattered_value_is_the_usual_one() -> None:
    made = context((1, 6))
    scattered = Layout((2, 3), ((), (1, 0)))
    made.held["x"] = Held(made.held["x"].tensor, Placed((2, 3), scattered))
    assert made.order("x") == (0, 1)


def test_in_order_gives_dims_and_layout_that_agree() -> None:
    placed = in_order(IMAGE, (3, 1, 0, 2))
    value = normal(*IMAGE)
    np.testing.assert_array_equal(placed.turned(value), value.transpose(3, 1, 0, 2), strict=True)
    assert usual((2, 3)) == in_order((2, 3), (0, 1))
