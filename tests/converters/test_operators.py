from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.errors import GraphError
from converters.operators import (
    INFINITY,
    Abs,
    Add,
    Affine,
    AveragePool,
    Binary,
    Clamp,
    Concat,
    Constant,
    Conv,
    DepthToSpace,
    Div,
    Elu,
    Erf,
    Exp,
    Expand,
    Gather,
    Gelu,
    Gemm,
    GlobalAveragePool,
    HardSwish,
    LeakyRelu,
    Log,
    LogSoftmax,
    MatMul,
    Maximum,
    MaxPool,
    Minimum,
    Mul,
    Operator,
    Pad,
    Pow,
    PRelu,
    Reduce,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Requantize,
    Reshape,
    Resize,
    Rsqrt,
    Shape,
    Sigmoid,
    Slice,
    Softmax,
    SpaceToDepth,
    Sqrt,
    Sub,
    Tanh,
    Tile,
    Transpose,
    Unary,
    clamp_of,
    multiply_adds,
    window_output,
)
from edge.tensors import Array
from tests.converters.models import f32, int64, normal

limits = st.floats(-100, 100) | st.sampled_from([-INFINITY, INFINITY])


@st.composite
def clamps(draw: st.DrawFn) -> Clamp:
    low, high = sorted((draw(limits), draw(limits)))
    return Clamp(low, high)


@given(clamps(), clamps(), st.floats(-200, 200))
@settings(deadline=None)
def test_intersect_equals_one_clamp_after_the_other(a: Clamp, b: Clamp, x: float) -> None:
    def apply(clamp: Clamp, value: float) -> float:
        return min(max(value, clamp.low), clamp.high)

    assert apply(a.intersect(b), x) == apply(b, apply(a, x))


@given(
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(1, 4),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.integers(1, 3),
)
@settings(deadline=None)
def test_window_output_counts_the_windows(
    size: int, kernel: int, stride: int, pads: tuple[int, int], dilation: int
) -> None:
    starts = range(0, size + sum(pads), stride)
    reach = (kernel - 1) * dilation
    windows = sum(start + reach < size + sum(pads) for start in starts)
    arguments = ((1, 1, size, size), (kernel, kernel), (stride, stride))
    both = (pads[0], pads[0], pads[1], pads[1])
    if windows:
        assert window_output(*arguments, both, (dilation, dilation)) == (windows, windows)
    else:
        with pytest.raises(GraphError, match="does not fit a padded input"):
            window_output(*arguments, both, (dilation, dilation))


@pytest.mark.parametrize(
    ("operator", "inputs", "output"),
    [
        (Clamp(0.0, 6.0), [(1, 3, 4, 4)], (1, 3, 4, 4)),
        (Affine(normal(3), normal(3)), [(1, 3, 4, 4)], (1, 3, 4, 4)),
        (Conv(normal(5, 3, 3, 3), normal(5)), [(1, 3, 4, 5)], (1, 5, 2, 3)),
        (Conv(normal(6, 1, 1, 1), normal(6), groups=3), [(1, 3, 4, 5)], (1, 6, 4, 5)),
        (Gemm(normal(5, 3), normal(5)), [(1, 3)], (1, 5)),
        (Add(), [(1, 3), (1, 3)], (1, 3)),
        (GlobalAveragePool(), [(1, 3, 4, 5)], (1, 3, 1, 1)),
        (AveragePool((2, 2), (2, 2)), [(1, 3, 4, 5)], (1, 3, 2, 2)),
        (MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), [(1, 3, 4, 5)], (1, 3, 2, 3)),
        (Reshape((1, 12)), [(1, 3, 2, 2)], (1, 12)),
        (Softmax(), [(1, 3)], (1, 3)),
        (Softmax(3), [(1, 3, 4, 5)], (1, 3, 4, 5)),
        (LogSoftmax(0), [(2,)], (2,)),
        (Affine(normal(3), normal(3), 2), [(1, 4, 3)], (1, 4, 3)),
        (Gemm(normal(5, 3), normal(5)), [(1, 2, 4, 3)], (1, 2, 4, 5)),
        (MatMul(), [(2, 3), (3, 4)], (2, 4)),
        (MatMul(), [(1, 6, 2, 3), (1, 6, 3, 4)], (1, 6, 2, 4)),
        (MatMul(), [(6, 2, 3), (3, 4)], (6, 2, 4)),
        (MatMul(), [(2, 3), (5, 6, 3, 4)], (5, 6, 2, 4)),
        (Constant(normal(2, 3)), [], (2, 3)),
        (Constant(f32(1)), [], ()),
        (Requantize(), [(1, 3, 4, 5)], (1, 3, 4, 5)),
        (Reshape(()), [(1, 1)], ()),
        (Transpose((0, 2, 3, 1)), [(1, 3, 4, 5)], (1, 4, 5, 3)),
        (Transpose(()), [()], ()),
        (Concat(1), [(1, 3, 4), (1, 2, 4), (1, 1, 4)], (1, 6, 4)),
        (Concat(0), [(1, 3)], (1, 3)),
        (Slice((1,), (0,), (3,), (1,)), [(1, 3, 4)], (1, 3, 4)),
        (Slice((2, 1), (1, 2), (8, 3), (2, 5)), [(1, 3, 8)], (1, 1, 4)),
        (Slice((), (), (), ()), [(1, 3)], (1, 3)),
        (Pad((0, 0, 1, 2), (0, 1, 0, 3)), [(1, 3, 4, 5)], (1, 4, 5, 10)),
        (Pad((0, 3), (0, 3), mode="reflect"), [(1, 4)], (1, 10)),
        (Gather(1, int64(0, 2, 2, 1)), [(1, 3, 4)], (1, 4, 4)),
        (Gather(2, np.zeros((2, 3), np.int64)), [(1, 3, 1)], (1, 3, 2, 3)),
        (Gather(1, np.asarray(2)), [(1, 3, 4)], (1, 4)),
        (Expand((2, 3, 4)), [(1, 3, 1)], (2, 3, 4)),
        (Expand((2, 3)), [(2, 3)], (2, 3)),
        (Tile((1, 2, 3)), [(1, 3, 4)], (1, 6, 12)),
        (Tile(()), [()], ()),
        (DepthToSpace(2), [(1, 12, 4, 5)], (1, 3, 8, 10)),
        (DepthToSpace(1), [(1, 3, 4, 5)], (1, 3, 4, 5)),
        (SpaceToDepth(2), [(1, 3, 4, 6)], (1, 12, 2, 3)),
        (Resize((7, 9), linear=True, grid="half_pixel"), [(1, 3, 4, 5)], (1, 3, 7, 9)),
        (AveragePool((3, 3), (1, 1), (1, 1, 1, 1), True), [(1, 3, 4, 5)], (1, 3, 4, 5)),
    ],
)
def test_shapes(operator: Operator, inputs: list[Shape], output: Shape) -> None:
    assert operator.output_shape(*inputs) == output


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        (Affine(normal(3), normal(3)), [(1, 4, 4, 4)]),
        (Affine(normal(3), normal(2)), [(1, 3, 4, 4)]),
        (Affine(normal(1), normal(1)), [(1,)]),
        (Conv(normal(5, 3, 3, 3), normal(5)), [(1, 4, 4, 4)]),
        (Conv(normal(5, 3, 3, 3), normal(4)), [(1, 3, 4, 4)]),
        (Conv(normal(5, 3, 3, 3), normal(5)), [(1, 3)]),
        (Conv(normal(4, 1, 3, 3), normal(4), groups=3), [(1, 3, 4, 4)]),
        (Gemm(normal(5, 3), normal(5)), [(1, 4)]),
        (Gemm(normal(5, 3), normal(4)), [(1, 3)]),
        (Gemm(normal(5, 3), normal(5)), [(1, 3, 1, 1)]),
        (Add(), [(1, 3), (1, 4)]),
        (GlobalAveragePool(), [(1, 3)]),
        (AveragePool((2, 2), (1, 1)), [(1, 3, 1, 1)]),
        (MaxPool((2, 2), (1, 1)), [(1, 3)]),
        (Reshape((1, 11)), [(1, 3, 2, 2)]),
        (Reshape((1, 13)), [(1, 3, 2, 2)]),
        (Softmax(2), [(1, 3)]),
        (Softmax(-1), [(1, 3)]),
        (LogSoftmax(2), [(1, 3)]),
        (Affine(normal(3), normal(3), 3), [(1, 4, 3)]),
        (Gemm(normal(5, 3), normal(5)), [(3,)]),
        (MatMul(), [(2, 3), (4, 2)]),
        (MatMul(), [(3,), (3, 4)]),
        (MatMul(), [(2, 3), (3,)]),
        (MatMul(), [(5, 2, 3), (4, 3, 2)]),
        (Transpose((0, 1)), [(1, 3, 4)]),
        (Transpose((0, 1, 3)), [(1, 3, 4)]),
        (Transpose((0, 1, 1)), [(1, 3, 4)]),
        (Concat(2), [(1, 3), (1, 3)]),
        (Concat(1), [(1, 3, 4), (1, 3, 5)]),
        (Concat(1), [(1, 3, 4), (1, 3)]),
        (Slice((1,), (0,), (4,), (1,)), [(1, 3, 4)]),
        (Slice((1,), (2,), (2,), (1,)), [(1, 3, 4)]),
        (Slice((1,), (-1,), (2,), (1,)), [(1, 3, 4)]),
        (Slice((1,), (0,), (2,), (0,)), [(1, 3, 4)]),
        (Slice((3,), (0,), (1,), (1,)), [(1, 3, 4)]),
        (Slice((1, 1), (0, 0), (1, 1), (1, 1)), [(1, 3, 4)]),
        (Pad((0, 0), (0, 0)), [(1, 3, 4)]),
        (Pad((0, 0, 0), (0, 0)), [(1, 3, 4)]),
        (Gather(1, int64(0, 3)), [(1, 3, 4)]),
        (Gather(1, int64(-1)), [(1, 3, 4)]),
        (Gather(3, int64(0)), [(1, 3, 4)]),
        (Expand((2, 3)), [(2, 2)]),
        (Expand((1, 3)), [(2, 3)]),
        (Expand((1, 2, 3)), [(2, 3)]),
        (Tile((1, 2)), [(1, 3, 4)]),
        (Tile((1, 0, 1)), [(1, 3, 4)]),
        (DepthToSpace(2), [(1, 6, 4, 4)]),
        (DepthToSpace(2), [(1, 4, 4)]),
        (SpaceToDepth(2), [(1, 3, 5, 4)]),
        (SpaceToDepth(2), [(1, 3, 4, 5)]),
        (SpaceToDepth(2), [(3, 4, 4)]),
        (Resize((7, 9), linear=False, grid="asymmetric"), [(3, 4, 5)]),
        (AveragePool((5, 2), (1, 1), (0, 0, 0, 0)), [(1, 3, 4, 5)]),
    ],
)
def test_shapes_that_do_not_fit(operator: Operator, inputs: list[Shape]) -> None:
    with pytest.raises(GraphError):
        operator.output_shape(*inputs)


UNARY = [Abs(), Erf(), Exp(), Log(), Sqrt(), Rsqrt(), Sigmoid(), Tanh(), HardSwish(), Elu()]


@pytest.mark.parametrize("operator", [*UNARY, Gelu(), Gelu(tanh=True), LeakyRelu(0.2)])
@pytest.mark.parametrize("shape", [(), (5,), (1, 3, 4, 5), (1, 2, 3, 4, 5)])
def test_functions_of_each_value_keep_the_shape(operator: Unary, shape: Shape) -> None:
    assert operator.output_shape(shape) == shape


TWO = [Add(), Sub(), Mul(), Div(), Pow(), Minimum(), Maximum(), PRelu()]


@pytest.mark.parametrize("operator", TWO)
@pytest.mark.parametrize(
    ("a", "b"), [((1, 3, 4, 5), (3, 1, 1)), ((2, 1), (1, 3)), ((), (4,)), ((2, 3), (2, 3))]
)
def test_functions_of_two_values_broadcast(operator: Binary, a: Shape, b: Shape) -> None:
    expected = np.broadcast_shapes(a, b)
    assert operator.output_shape(a, b) == operator.output_shape(b, a) == expected


@pytest.mark.parametrize("operator", TWO)
@pytest.mark.parametrize(("a", "b"), [((1, 3), (1, 4)), ((2, 3, 4), (3, 1, 1, 5)), ((0,), (2,))])
def test_values_that_do_not_broadcast(operator: Binary, a: Shape, b: Shape) -> None:
    with pytest.raises(GraphError, match="do not fit together"):
        operator.output_shape(a, b)


REDUCTIONS: Mapping[type[Reduce], Callable[..., Array]] = {
    ReduceMean: np.mean,
    ReduceSum: np.sum,
    ReduceMax: np.max,
    ReduceMin: np.min,
}


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [(1,), (3,), (1, 2), (2, 3), (0, 1, 2, 3)])
def test_reductions_have_the_shape_of_numpys(
    kind: type[Reduce], axes: tuple[int, ...], keep: bool
) -> None:
    x = normal(1, 3, 4, 5)
    expected = REDUCTIONS[kind](x, axis=axes, keepdims=keep).shape
    assert kind(axes, keep).output_shape(x.shape) == expected


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("axes", [(4,), (-1,), (1, 1)])
def test_reductions_over_no_axis_of_theirs(kind: type[Reduce], axes: tuple[int, ...]) -> None:
    with pytest.raises(GraphError, match="of 4"):
        kind(axes).output_shape((1, 3, 4, 5))


sides = st.integers(1, 9)


@given(sides, sides, sides, st.integers(1, 12))
def test_slices_hold_as_many_values_as_pythons(side: int, start: int, stop: int, step: int) -> None:
    part = Slice((1,), (start,), (stop,), (step,))
    if start < stop <= side:
        assert part.output_shape((1, side)) == (1, len(range(side)[start:stop:step]))
    else:
        with pytest.raises(GraphError, match="is no part of"):
            part.output_shape((1, side))


def test_depthwise() -> None:
    assert Conv(normal(3, 1, 3, 3), normal(3), groups=3).is_depthwise
    assert not Conv(normal(3, 1, 3, 3), normal(3)).is_depthwise
    assert Conv(normal(3, 1, 2, 3), normal(3)).kernel == (2, 3)


def test_multiply_adds_equal_a_count_of_the_products() -> None:
    conv = Conv(normal(4, 2, 3, 3), normal(4))
    pixels = 5 * 6
    products = sum(np.prod(kernel.shape) for kernel in conv.weight) * pixels
    assert multiply_adds(conv, (1, 4, 5, 6)) == products == 2160
    assert multiply_adds(Gemm(normal(4, 7), normal(4)), (1, 4)) == 28
    assert multiply_adds(Add(), (1, 4, 5, 6)) == 0


@pytest.mark.parametrize("clamp", [None, Clamp(0.0, 6.0)])
def test_clamp_of(clamp: Clamp | None) -> None:
    weight, bias = normal(2, 3, 1, 1), normal(2)
    carriers: list[Operator] = [
        Conv(weight, bias, clamp=clamp),
        Gemm(weight[..., 0, 0], bias, clamp),
        Add(clamp),
    ]
    assert [clamp_of(operator) for operator in carriers] == [clamp] * 3
    # A clamp that stands alone is carried by nothing.
    assert clamp_of(Clamp(0.0, 6.0)) is clamp_of(Softmax()) is None


def test_multiply_adds_of_rows() -> None:
    assert multiply_adds(Gemm(normal(4, 7), normal(4)), (1, 3, 4)) == 28 * 3


@pytest.mark.parametrize("kind", [Add, Sub, Mul, Div])
def test_what_ends_in_a_clamp(kind: type[Add]) -> None:
    relu = Clamp(0.0, INFINITY)
    assert clamp_of(kind()) is None
    assert clamp_of(kind(relu)) == relu
    assert clamp_of(Maximum()) is None
