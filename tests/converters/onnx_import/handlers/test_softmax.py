import pytest

from tests.converters.models import assert_same, build
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 12, 13, 28])
@pytest.mark.parametrize("attributes", ["", "<axis=1>", "<axis=-1>"])
def test_class_axis(opset: int, attributes: str) -> None:
    # Left out, the axis is 1 before opset 13 and the last from there on: the same here.
    assert_same(build(f"f = Flatten(x) y = Softmax{attributes}(f)", opset=opset))


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -3])
@pytest.mark.parametrize("opset", [11, 12, 13, 28])
def test_every_axis(kind: str, axis: int, opset: int) -> None:
    # Before opset 13 the axes from this one on were taken together as one.
    assert_same(build(f"y = {kind}<axis={axis}>(x)", opset=opset))


@pytest.mark.parametrize("axis", [4, -5])
def test_axes_that_are_none(axis: int) -> None:
    assert_refused(build(f"y = Softmax<axis={axis}>(x)"), f"axis {axis} of a value of 4 axes")
