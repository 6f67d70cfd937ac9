import pytest

from tests.converters.models import assert_same, build, int64
from tests.converters.onnx_import.refusals import assert_refused

POOL = "p = GlobalAveragePool(x) "


@pytest.mark.parametrize("axes", [(2, 3), (-1, -2), (3,)])
def test_axes_as_an_input(axes: tuple[int, ...]) -> None:
    assert_same(build(f"{POOL} y = Squeeze(p, a)", opset=13, a=int64(*axes)))


def test_axes_as_an_attribute() -> None:
    graph = assert_same(build(f"{POOL} y = Squeeze<axes=[2,3]>(p)", opset=12))
    assert graph.shapes["y"] == (1, 3)


@pytest.mark.parametrize("axes", [(0,), (0, 2), (1,), (4,), (-4,), ()])
def test_other_axes_are_refused(axes: tuple[int, ...]) -> None:
    model = build(f"{POOL} y = Squeeze(p, a)", a=int64(*axes))
    assert_refused(model, "sides of 1 behind the batch")


def test_without_axes_it_would_take_the_batch_too() -> None:
    assert_refused(build(f"{POOL} y = Squeeze(p)"), "named")
