import numpy as np
import pytest

from converters.errors import UnsupportedModelError
from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, imported, int64
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]
POOL = "p = GlobalMaxPool(x) "


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("target", "kinds"),
    [
        ((1, 3, 4, 5), ["Expand"]),
        ((4, 1), ["Expand"]),
        ((2, 3, 1, 1), ["Expand"]),
        ((2, 1, 3, 4, 4), ["Reshape", "Expand"]),
        ((1, 1, 3, 1, 1), ["Reshape"]),
        ((1, 3, 1, 1), []),
        ((1,), []),
    ],
)
def test_expand(target: tuple[int, ...], kinds: list[str], opset: int) -> None:
    model = build(f"{POOL} y = Expand(p, s)", opset=opset, s=int64(*target))
    graph = assert_same(model, whole=True)
    assert [node.kind for node in graph.nodes] == ["ReduceMax", *kinds]


def test_expand_to_the_shape_of_another() -> None:
    assert_same(build(f"{POOL} s = Shape(x) y = Expand(p, s)"))


def test_a_static_batch_becomes_one() -> None:
    model = build(f"{POOL} y = Expand(p, s)", "float[8,3,8,8]", s=int64(8, 3, 4, 4))
    assert assert_same(model, batch=8).shapes["y"] == (1, 3, 4, 4)


def test_only_in_its_place_is_a_number_the_batch() -> None:
    model = build(f"{POOL} y = Expand(p, s)", "float[8,3,8,8]", s=int64(8, 1))
    assert assert_same(model, batch=8).shapes["y"] == (1, 3, 8, 1)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (int64(1, 3, 8, 7), "do not fit together"),
        (int64(4, 8, 8), "do not fit together"),
        (int64(1, 3, 8, 0), "only sides above 0"),
        (int64(1, 3, 8, -1), "only sides above 0"),
        (f32([1, 3, 8, 8]), "not a list of whole numbers"),
        (np.asarray(1), "not a list of whole numbers"),
        (int64(1 << 20, 1 << 20, 1, 3, 8, 8), "empty or too large"),
    ],
)
def test_refusals_of_expand(target: Array, reason: str) -> None:
    assert_refused(build("y = Expand(x, s)", s=target), reason)


def test_a_shape_that_does_not_fit_is_one_of_several_refusals() -> None:
    with pytest.raises(UnsupportedModelError, match="2 nodes cannot be converted"):
        imported(build("a = Expand(x, s) y = Sin(x)", s=int64(7)))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("repeats", [(1, 1, 2, 3), (1, 4, 1, 1), (2, 2, 2, 2), (1, 1, 1, 2)])
def test_tile(repeats: tuple[int, ...], opset: int) -> None:
    model = build("y = Tile(x, r)", opset=opset, r=int64(*repeats))
    graph = assert_same(model, whole=True)
    assert [node.kind for node in graph.nodes] == ["Tile"]


def test_tile_once_is_nothing() -> None:
    graph = assert_same(build("a = Exp(x) y = Tile(a, r)", r=int64(1, 1, 1, 1)), spread=1)
    assert [node.kind for node in graph.nodes] == ["Exp"]


@pytest.mark.parametrize(
    ("repeats", "reason"),
    [
        (int64(1, 1, 1), "repeats [1, 1, 1] for an input of shape (1, 3, 8, 8)"),
        (int64(1, 1, 2, 2, 2), "repeats [1, 1, 2, 2, 2] for an input of shape"),
        (int64(1, 1, 1, 0), "repeats [1, 1, 1, 0]"),
        (int64(1, 1, 1, -1), "repeats [1, 1, 1, -1]"),
        (int64(1, 1, 1 << 30, 1), "empty or too large"),
        (f32([1, 1, 1, 2]), "not a list of whole numbers"),
    ],
)
def test_refusals_of_tile(repeats: Array, reason: str) -> None:
    assert_refused(build("y = Tile(x, r)", r=repeats), reason)


@pytest.mark.parametrize("kind", ["Expand", "Tile"])
def test_from_the_image_is_refused(kind: str) -> None:
    assert_refused(build(f"y = {kind}(x, x)"), "computed from the image")
