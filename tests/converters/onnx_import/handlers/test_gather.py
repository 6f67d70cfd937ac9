import numpy as np
import pytest

from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
@pytest.mark.parametrize("places", [int64(2, 0), int64(-1, -3, 1, 1), np.asarray([[0, 1], [2, 0]])])
def test_several_places(places: Array, axis: int, opset: int) -> None:
    graph = assert_same(build(f"y = Gather<axis={axis}>(x, i)", opset=opset, i=places))
    assert [node.kind for node in graph.nodes] == ["Gather"]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("place", "kinds"),
    [
        (np.asarray(2), ["Slice", "Reshape"]),
        (np.asarray(-8), ["Slice", "Reshape"]),
        (int64(7), ["Slice"]),
        (int64(-1), ["Slice"]),
        (np.asarray([[3]]), ["Slice", "Reshape"]),
        (np.asarray([1], np.int32), ["Slice"]),
    ],
)
def test_one_place_is_a_slice(place: Array, kinds: list[str], opset: int) -> None:
    graph = assert_same(build("y = Gather<axis=2>(x, i)", opset=opset, i=place))
    assert [node.kind for node in graph.nodes] == kinds


@pytest.mark.parametrize(
    ("place", "kinds"), [(np.asarray(0), ["Reshape"]), (int64(-1), []), (int64(0, 0), ["Gather"])]
)
def test_of_the_only_place(place: Array, kinds: list[str]) -> None:
    graph = assert_same(build("p = GlobalMaxPool(x) y = Gather<axis=3>(p, i)", i=place))
    assert [node.kind for node in graph.nodes] == ["ReduceMax", *kinds]


def test_the_default_axis_is_the_batch() -> None:
    assert assert_same(build("y = Gather(x, i)", i=np.asarray(0)), whole=True).shapes["y"] == (
        *(3, 8, 8),
    )


def test_the_class_token() -> None:
    # What a vision transformer reads: the first of the patches.
    body = "r = Reshape(x, s) t = Transpose<perm=[0,2,1]>(r) y = Gather<axis=1>(t, i)"
    graph = assert_same(build(body, s=int64(1, 3, 64), i=np.asarray(0)))
    assert graph.shapes["y"] == (1, 3)


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        (int64(0, 8), "places 0 to 8 of an axis of 8"),
        (int64(-9), "places -1 to -1 of an axis of 8"),
        (np.asarray(8), "places 8 to 8 of an axis of 8"),
        (int64(), "empty or too large"),
        (f32([0]), "its places are not whole numbers"),
        (np.asarray(["a"]), "its places are not whole numbers"),
    ],
)
def test_places_that_are_refused(places: Array, reason: str) -> None:
    assert_refused(build("y = Gather<axis=2>(x, i)", i=places), reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = Gather<axis=4>(x, i)", "axis 4 of a value of 4 axes"),
        ("y = Gather<axis=-5>(x, i)", "axis -5 of a value of 4 axes"),
        ("y = Gather(x, x)", "computed from the image"),
        ("y = Gather(t, x)", "input 0 is a constant"),
    ],
)
def test_refusals(body: str, reason: str) -> None:
    assert_refused(build(body, i=int64(0), t=f32([1, 2])), reason)
