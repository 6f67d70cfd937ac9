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


@pytest.mark.parametrize("axes", [(0,), (0, 2), (3,), (-4,)])
def test_every_side_of_one(axes: tuple[int, ...]) -> None:
    assert_same(build(f"{POOL} y = Squeeze(p, a)", a=int64(*axes)), whole=True)


def test_without_axes_all_sides_of_one_go() -> None:
    assert assert_same(build(f"{POOL} y = Squeeze(p)"), whole=True).shapes["y"] == (3,)


@pytest.mark.parametrize(
    ("axes", "reason"),
    [((1,), "are not all 1"), ((4,), "axis 4 of a value of 4 axes"), ((2, 2), "name one twice")],
)
def test_refusals(axes: tuple[int, ...], reason: str) -> None:
    assert_refused(build(f"{POOL} y = Squeeze(p, a)", a=int64(*axes)), reason)


@pytest.mark.parametrize("axes", [(0,), (2,), (-1,), (1, 3)])
def test_unsqueeze(axes: tuple[int, ...]) -> None:
    body = f"{POOL} f = Flatten(p) "
    old = ",".join(map(str, axes))
    assert_same(build(f"{body} y = Unsqueeze<axes=[{old}]>(f)", opset=11), whole=True)
    assert_same(build(f"{body} y = Unsqueeze(f, a)", a=int64(*axes)), whole=True)


def test_unsqueeze_refuses_an_axis_named_twice() -> None:
    assert_refused(build("y = Unsqueeze(x, a)", a=int64(1, -5)), "name one twice")
