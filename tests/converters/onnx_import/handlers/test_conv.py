import numpy as np
import pytest

from converters.operators import Conv
from edge.tensors import Array
from tests.converters.models import assert_same, build, imported, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

DENSE = normal(4, 3, 3, 3, seed=2)


@pytest.mark.parametrize("opset", [11, 17, 22, 28])
@pytest.mark.parametrize(
    ("attributes", "x"),
    [
        ("", "float[1,3,8,8]"),
        ("kernel_shape=[3,3], pads=[1,1,1,1]", "float[1,3,8,8]"),
        ("pads=[0,1,2,3], strides=[2,3]", "float[1,3,9,7]"),
        ("dilations=[2,3], pads=[2,3,2,3]", "float[1,3,8,9]"),
        ('auto_pad="VALID", strides=[2,2]', "float[1,3,8,9]"),
        ('auto_pad="NOTSET", pads=[1,0,0,1]', "float[1,3,8,8]"),
    ],
)
def test_windows(attributes: str, x: str, opset: int) -> None:
    body = f"y = Conv<{attributes}>(x, w, b)" if attributes else "y = Conv(x, w, b)"
    assert_same(build(body, x, opset=opset, w=DENSE, b=normal(4)))


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_auto_pad(mode: str, stride: int, size: int) -> None:
    body = f'y = Conv<auto_pad="{mode}", strides=[{stride},{stride}]>(x, w)'
    for kernel in (2, 3):
        assert_same(build(body, f"float[1,3,{size},{size}]", w=normal(4, 3, kernel, kernel)))


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise(multiplier: int) -> None:
    graph = assert_same(build("y = Conv<group=3>(x, w)", w=normal(3 * multiplier, 1, 3, 3)))
    operator = graph.nodes[0].operator
    assert isinstance(operator, Conv)
    assert operator.is_depthwise
    assert not operator.bias.any()


def test_weights_may_come_from_a_constant_node() -> None:
    body = "w = Constant<value_floats=[1.5, -2.0, 0.5]>() "
    body += "s = Constant<value_ints=[1, 3, 1, 1]>() k = Reshape(w, s) y = Conv(x, k)"
    assert_same(build(body))


@pytest.mark.parametrize(
    ("attributes", "weight", "reason"),
    [
        ("group=3", normal(3, 2, 3, 3), "does not fit"),
        ("strides=[2,2], dilations=[2,2]", DENSE, "no TFLite form"),
        ("kernel_shape=[2,2]", DENSE, "contradicts its weight"),
        ("pads=[-1,0,0,0]", DENSE, "pads [-1, 0, 0, 0]"),
        ("pads=[1,1]", DENSE, "pads [1, 1]"),
        ("strides=[0,1]", DENSE, "strides [0, 1]"),
        ("strides=[1]", DENSE, "strides [1]"),
        ("pads=[1.5]", DENSE, "not as opset 17 defines it"),
        ("wrong=1", DENSE, "not as opset 17 defines it"),
        ('auto_pad="SAME"', DENSE, "auto_pad 'SAME'"),
        ("group=1", normal(4, 3, 3), "3 dimensions"),
        ("group=1", DENSE.astype(np.float64), "float64; only float32"),
        ("group=1", DENSE * np.float32("nan"), "NaN"),
        ("group=1", np.zeros((4, 3, 0, 0), np.float32), "kernel_shape [0, 0]"),
        ("group=1", np.zeros((0, 3, 1, 1), np.float32), "is empty"),
        ("group=0", DENSE, "0 groups"),
    ],
)
def test_refusals(attributes: str, weight: Array, reason: str) -> None:
    assert_refused(build(f"y = Conv<{attributes}>(x, w)", w=weight), reason)


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_an_input_without_pixels_is_refused(rank: int, group: int) -> None:
    body = f"p = GlobalAveragePool(x) r = Reshape(p, s) y = Conv<group={group}>(r, w)"
    model = build(body, "float[1,1,8,8]", s=int64(*[1] * rank), w=normal(2, 1, 1, 1))
    assert_refused(model, "only 2-D windows over [N, C, H, W]")


@pytest.mark.parametrize("outputs", [4, 8])
def test_grouped(outputs: int) -> None:
    body = "e = Conv(x, w) y = Conv<group=2, pads=[1,1,1,1]>(e, g)"
    graph = assert_same(build(body, w=normal(4, 3, 1, 1), g=normal(outputs, 2, 3, 3)))
    operator = graph.nodes[-1].operator
    assert isinstance(operator, Conv)
    assert not operator.is_depthwise


def test_groups_that_do_not_divide_the_channels() -> None:
    model = build("y = Conv<group=2>(x, w)", w=normal(3, 1, 1, 1))
    assert_refused(model, "2 groups for 3 output channels")
    model = build("y = Conv<group=2>(x, w)", w=normal(4, 1, 1, 1))
    assert_refused(model, "does not fit an input of shape (1, 3, 8, 8)")


def test_weights_that_depend_on_the_image_are_refused() -> None:
    assert_refused(build("y = Conv(x, x)"), "input 1 is computed from the image")


def test_the_largest_window_that_fits_and_one_larger() -> None:
    assert_same(build("y = Conv(x, w)", w=normal(2, 3, 8, 8)))
    assert_refused(build("y = Conv(x, w)", w=normal(2, 3, 9, 8)), "window of 9 does not fit")


def test_the_largest_stride_and_one_larger() -> None:
    assert_same(build("y = Conv<strides=[4096,4096]>(x, w)", w=DENSE))
    assert_refused(build("y = Conv<strides=[4096,4097]>(x, w)", w=DENSE), "from 1 to 4096")


def test_the_last_batch_of_the_file_becomes_one() -> None:
    graph = assert_same(build("y = Conv(x, w)", "float[8,3,8,8]", w=DENSE), batch=8)
    assert graph.shapes["y"] == (1, 4, 6, 6)
    assert imported(build("y = Conv(x, w)", "float[N,3,8,8]", w=DENSE)).shapes["y"] == (1, 4, 6, 6)
