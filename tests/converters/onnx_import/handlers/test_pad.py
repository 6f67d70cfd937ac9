import numpy as np
import pytest

from converters.operators import Pad
from edge.tensors import Array
from tests.converters.models import Constants, assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]
AROUND = int64(0, 0, 1, 2, 0, 0, 3, 0)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_numbers(mode: str, opset: int) -> None:
    graph = assert_same(build(f'y = Pad<mode="{mode}">(x, p)', opset=opset, p=AROUND))
    assert [node.kind for node in graph.nodes] == ["Pad"]


@pytest.mark.parametrize("value", [f32(-2.5), f32([7]), f32(-np.inf), f32(0)])
def test_values(value: Array) -> None:
    graph = assert_same(build("y = Pad(x, p, v)", p=AROUND, v=value))
    (node,) = graph.nodes
    assert isinstance(node.operator, Pad)
    assert node.operator.value == value.reshape(())


def test_every_axis() -> None:
    assert_same(build("y = Pad(x, p)", p=int64(1, 2, 3, 4, 5, 6, 7, 8)), whole=True)


@pytest.mark.parametrize("opset", [18, 19, 21, 28])
@pytest.mark.parametrize("axes", [(2, 3), (-1, 1)])
def test_axes_as_an_input(axes: tuple[int, int], opset: int) -> None:
    given: Constants = {"p": int64(1, 2, 0, 3), "a": int64(*axes)}
    assert_same(build('y = Pad(x, p, "", a)', opset=opset, **given))


def test_reflect_up_to_the_last_pixel_and_one_more() -> None:
    model = 'y = Pad<mode="reflect">(x, p)'
    assert_same(build(model, p=int64(0, 0, 7, 0, 0, 2, 0, 7)))
    assert_refused(build(model, p=int64(0, 0, 8, 0, 0, 0, 0, 0)), "mirror more than the input")
    assert_refused(build(model, p=int64(0, 0, 0, 0, 0, 3, 0, 0)), "mirror more than the input")


@pytest.mark.parametrize("mode", ["constant", "reflect"])
@pytest.mark.parametrize(
    ("pads", "kinds"),
    [
        ((0, 0, -1, 0, 0, 0, 0, -3), ["Slice"]),
        ((0, 0, -1, 2, 0, 0, 0, 1), ["Slice", "Pad"]),
        ((0, 0, -2, 0, 0, 0, 4, 0), ["Slice", "Pad"]),
        ((0, 0, -2, 0, 0, 0, -5, 0), ["Slice"]),
    ],
)
def test_amounts_below_zero_cut(pads: tuple[int, ...], kinds: list[str], mode: str) -> None:
    graph = assert_same(build(f'y = Pad<mode="{mode}">(x, p)', p=int64(*pads)))
    assert [node.kind for node in graph.nodes] == kinds


def test_reflect_of_what_a_cut_leaves() -> None:
    # Six pixels are left, of which five can be mirrored.
    model = 'y = Pad<mode="reflect">(x, p)'
    assert_same(build(model, p=int64(0, 0, 0, -2, 0, 0, 0, 5)))
    assert_refused(build(model, p=int64(0, 0, 0, -2, 0, 0, 0, 6)), "mirror more than the input")


def test_of_nothing_it_is_nothing() -> None:
    graph = assert_same(build("a = Exp(x) y = Pad(a, p)", p=int64(*[0] * 8)), spread=1)
    assert [node.kind for node in graph.nodes] == ["Exp"]


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        ('Pad<mode="edge">(x, around)', 17, "mode 'edge' has no TFLite form"),
        ('Pad<mode="wrap">(x, around)', 28, "mode 'wrap' has no TFLite form"),
        ("Pad(x, short)", 17, "pads [1, 1, 1, 1, 1, 1, 1] for 4 axes"),
        ("Pad(x, long)", 17, "for 4 axes"),
        ("Pad(x, all)", 17, "4 to 4 by 1 is no part of 8"),
        ("Pad(x, over)", 17, "5 to 4 by 1 is no part of 8"),
        ("Pad(x, real)", 17, "not a list of whole numbers"),
        ("Pad(x, around, short)", 17, "not one number"),
        ("Pad(x, around, nan)", 17, "not one number"),
        ("Pad(x, x)", 17, "computed from the image"),
        ('Pad(x, around, "", twice)', 18, "name one twice"),
        ('Pad(x, two, "", twice)', 18, "name one twice"),
        ('Pad(x, two, "", beyond)', 18, "axis 4 of a value of 4 axes"),
        ('Pad(x, two, "", one)', 18, "for 1 axes"),
        ('Pad(x, two, "", one)', 13, "not as opset 13 defines it"),
    ],
)
def test_refusals(body: str, opset: int, reason: str) -> None:
    constants: Constants = {
        "around": AROUND,
        "short": int64(*[1] * 7),
        "long": int64(*[1] * 9),
        "all": int64(0, 0, -4, 0, 0, 0, -4, 0),
        "over": int64(0, 0, -5, 0, 0, 0, -4, 0),
        "real": f32([0] * 8),
        "nan": f32(np.nan),
        "two": int64(1, 1, 1, 1),
        "twice": int64(2, -2),
        "beyond": int64(2, 4),
        "one": int64(2),
    }
    assert_refused(build(f"y = {body}", opset=opset, **constants), reason)
