import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.errors import GraphError
from converters.operators import (
    INFINITY,
    Add,
    Affine,
    AveragePool,
    Clamp,
    Conv,
    Gemm,
    GlobalAveragePool,
    MaxPool,
    Operator,
    Reshape,
    Shape,
    Softmax,
    clamp_of,
    multiply_adds,
    window_output,
)
from tests.converters.models import normal

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
    ],
)
def test_shapes_that_do_not_fit(operator: Operator, inputs: list[Shape]) -> None:
    with pytest.raises(GraphError):
        operator.output_shape(*inputs)


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
