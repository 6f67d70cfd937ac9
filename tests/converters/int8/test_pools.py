"""Pools and reductions: windows and whole axes brought down to one value."""

from itertools import combinations

import pytest

from converters.errors import UnsupportedModelError
from converters.tflite.writer import check
from tests.converters.artifacts import EXACT, ROUNDING, assert_within, make, opcodes
from tests.converters.models import int64

X = "float[1,3,8,8]"


@pytest.mark.parametrize(
    "pool",
    [
        "MaxPool<kernel_shape=[2,2], strides=[2,2]>",
        "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>",
        "MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[0,0,1,1]>",
        "MaxPool<kernel_shape=[3,2]>",
    ],
)
def test_max_pool_is_exact(pool: str) -> None:
    assert_within(make(f"y = {pool}(x)"), EXACT, apart=0)


@pytest.mark.parametrize(
    "pool",
    [
        "AveragePool<kernel_shape=[2,2], strides=[2,2]>",
        "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>",
        "AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[0,0,1,1]>",
        "AveragePool<kernel_shape=[3,2]>",
    ],
)
def test_average_pool(pool: str) -> None:
    # Halves are rounded to even by one runtime and away from zero by the other.
    assert_within(make(f"y = {pool}(x)"))


def test_max_pool_with_padding_that_tflite_cannot_say_is_padded_with_what_never_wins() -> None:
    made = make("y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)")
    assert_within(made, EXACT, apart=0)
    assert opcodes(made.tflite) == ["PADV2", "MAX_POOL_2D"]


def test_average_pool_that_counts_its_padding_is_padded_with_zeros() -> None:
    pool = "AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1>"
    made = make(f"y = {pool}(x)")
    assert_within(made)
    assert opcodes(made.tflite) == ["PAD", "AVERAGE_POOL_2D"]


def test_average_pool_whose_padding_tflite_cannot_say_is_refused() -> None:
    pool = "AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>"
    check(make(f"y = {pool}(x)", "float[1,3,9,9]").graph, "tiny.onnx")
    with pytest.raises(UnsupportedModelError, match="neither TFLite's SAME nor VALID"):
        check(make(f"y = {pool}(x)", X).graph, "tiny.onnx")


@pytest.mark.parametrize("size", ["8,8", "7,7", "1,2", "5,4"])
def test_global_average_pool(size: str) -> None:
    assert_within(make("y = GlobalAveragePool(x)", f"float[1,3,{size}]"))


def test_global_average_pool_of_one_pixel() -> None:
    assert_within(make("m = MaxPool<kernel_shape=[8,8]>(x) y = GlobalAveragePool(m)"))


AXES = [axes for count in (1, 2, 3) for axes in combinations((1, 2, 3), count)]
REDUCTIONS = {"ReduceMean": "MEAN", "ReduceSum": "SUM", "ReduceMax": "REDUCE_MAX"} | {
    "ReduceMin": "REDUCE_MIN"
}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reductions_over_every_set_of_axes(kind: str, axes: tuple[int, ...], keep: int) -> None:
    # Opset 18 has the axes of all of them as an input.
    made = make(
        f"y = {kind}<keepdims={keep}>(x, axes)", "float[1,3,6,5]", opset=18, axes=int64(*axes)
    )
    is_exact = kind in ("ReduceMax", "ReduceMin")
    assert_within(made, EXACT if is_exact else ROUNDING, apart=0 if is_exact else 1)
    codes = opcodes(made.tflite)
    assert codes[0] == REDUCTIONS[kind]
    # Of the axes that are left without one, only rows or columns beside channels must turn.
    assert codes.count("TRANSPOSE") == (keep == 0 and axes in ((2,), (3,)))


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_reductions_of_tokens(kind: str, axes: tuple[int, ...]) -> None:
    made = make(
        f"r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) y = {kind}(t, axes)",
        "float[1,3,6,5]",
        opset=18,
        tokens=int64(1, 3, 30),
        axes=int64(*axes),
    )
    is_exact = kind in ("ReduceMax", "ReduceMin")
    assert_within(made, EXACT if is_exact else ROUNDING)
    assert "TRANSPOSE" not in opcodes(made.tflite)
