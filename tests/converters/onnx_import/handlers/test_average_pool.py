import pytest

from converters.operators import AveragePool, GlobalAveragePool
from tests.converters.models import assert_same, build
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 19, 22])
@pytest.mark.parametrize(
    "attributes",
    [
        "kernel_shape=[2,2]",
        "kernel_shape=[2,3], strides=[2,2]",
        "kernel_shape=[3,3], pads=[1,1,1,1]",
        'kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER"',
        "kernel_shape=[2,2], count_include_pad=1",
        "kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1",
        "kernel_shape=[3,3], strides=[2,2], ceil_mode=1",
        "kernel_shape=[7,8]",
    ],
)
def test_windows(attributes: str, opset: int) -> None:
    graph = assert_same(build(f"y = AveragePool<{attributes}>(x)", opset=opset))
    assert isinstance(graph.nodes[0].operator, AveragePool)


def test_over_the_whole_image_it_is_global() -> None:
    graph = assert_same(build("y = AveragePool<kernel_shape=[8,8]>(x)"))
    assert isinstance(graph.nodes[0].operator, GlobalAveragePool)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ("kernel_shape=[9,8]", "window of 9 does not fit"),
        (
            "kernel_shape=[3,3], strides=[2,2], pads=[0,0,0,1], ceil_mode=1, count_include_pad=1",
            "count_include_pad where ceil_mode",
        ),
        ("strides=[1,1]", "not as opset 19 defines it"),
        ("kernel_shape=[2,2], dilations=[2,2]", "dilation"),
        ("kernel_shape=[2,2,2]", "kernel_shape [2, 2, 2]"),
    ],
)
def test_refusals(attributes: str, reason: str) -> None:
    assert_refused(build(f"y = AveragePool<{attributes}>(x)", opset=19), reason)


def test_a_vector_has_no_pixels() -> None:
    model = build("f = Flatten(x) y = AveragePool<kernel_shape=[1,1]>(f)")
    assert_refused(model, "only 2-D windows")
