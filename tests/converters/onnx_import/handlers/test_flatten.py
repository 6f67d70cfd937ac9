import pytest

from converters.operators import Reshape
from tests.converters.models import assert_same, build
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 13, 28])
@pytest.mark.parametrize("attributes", ["", "<axis=1>", "<axis=-3>"])
def test_behind_the_batch(opset: int, attributes: str) -> None:
    graph = assert_same(build(f"y = Flatten{attributes}(x)", opset=opset))
    assert graph.nodes[0].operator == Reshape((1, 192))


def test_static_batch() -> None:
    assert_same(build("y = Flatten(x)", "float[4,3,8,8]"), batch=4)


@pytest.mark.parametrize("opset", [11, 13, 28])
@pytest.mark.parametrize(("axis", "first"), [(0, 1), (2, 3), (3, 24), (4, 192), (-1, 24), (-4, 1)])
def test_other_axes(axis: int, first: int, opset: int) -> None:
    graph = assert_same(build(f"y = Flatten<axis={axis}>(x)", opset=opset), whole=True)
    assert graph.shapes["y"] == (first, 192 // first)


@pytest.mark.parametrize("axis", [5, -5])
def test_axes_that_are_none(axis: int) -> None:
    assert_refused(build(f"y = Flatten<axis={axis}>(x)"), f"axis {axis} of a value of 4 axes")
