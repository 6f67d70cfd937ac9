import pytest

from tests.converters.models import assert_same, build
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 12, 13, 28])
@pytest.mark.parametrize("attributes", ["", "<axis=1>", "<axis=-1>"])
def test_class_axis(opset: int, attributes: str) -> None:
    # Left out, the axis is 1 before opset 13 and the last from there on: the same here.
    assert_same(build(f"f = Flatten(x) y = Softmax{attributes}(f)", opset=opset))


@pytest.mark.parametrize("axis", [0, -2, 2, 3, -3])
def test_other_axes_are_refused(axis: int) -> None:
    model = build(f"f = Flatten(x) y = Softmax<axis={axis}>(f)")
    assert_refused(model, f"axis {axis} of (1, 192)")


@pytest.mark.parametrize("opset", [11, 13])
def test_an_image_is_refused(opset: int) -> None:
    assert_refused(build("y = Softmax(x)", opset=opset), "class axis of [1, C]")
