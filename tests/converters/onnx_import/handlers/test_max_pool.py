import pytest

from converters.errors import ConvertError
from tests.converters.models import assert_same, build, imported
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 12, 22])
@pytest.mark.parametrize(
    "attributes",
    [
        "kernel_shape=[2,2], strides=[2,2]",
        "kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]",
        'kernel_shape=[3,2], auto_pad="SAME_LOWER"',
        "kernel_shape=[8,8]",
        "kernel_shape=[3,3], strides=[2,2], ceil_mode=1",
        "kernel_shape=[2,2], strides=[3,3], pads=[1,1,1,1], ceil_mode=1",
    ],
)
def test_windows(attributes: str, opset: int) -> None:
    assert_same(build(f"y = MaxPool<{attributes}>(x)", opset=opset))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ("kernel_shape=[9,8]", "window of 9 does not fit"),
        ("kernel_shape=[2,2], dilations=[1,2]", "dilation"),
    ],
)
def test_refusals(attributes: str, reason: str) -> None:
    assert_refused(build(f"y = MaxPool<{attributes}>(x)"), reason)


def test_the_places_of_the_maxima_are_no_output() -> None:
    body = "y, i = MaxPool<kernel_shape=[2,2]>(x)"
    imported(build(body))
    with pytest.raises(ConvertError, match="'i' is output 1 of MaxPool_y, which is not supported"):
        imported(build(body, outputs=["i"]))


def test_reading_the_places_of_the_maxima_is_refused() -> None:
    model = build("a, i = MaxPool<kernel_shape=[2,2]>(x) y = Relu(i)")
    assert_refused(model, "'i' is output 1 of MaxPool_a")
