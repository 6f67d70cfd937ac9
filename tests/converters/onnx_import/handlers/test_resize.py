import numpy as np
import pytest

from converters.operators import Resize
from edge.tensors import Array
from tests.converters.models import Constants, assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 19, 28]
NEAREST = 'coordinate_transformation_mode="asymmetric", nearest_mode="floor"'


def linear(grid: str) -> str:
    return f'mode="linear", coordinate_transformation_mode="{grid}"'


GRIDS = [NEAREST, *map(linear, ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])]


def given(*sides: int) -> Constants:
    return {"r": f32([]), "none": f32([]), "z": int64(*sides)}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size", [(16, 16), (4, 4), (2, 24), (11, 5), (8, 16)])
def test_sizes(size: tuple[int, int], grid: str, opset: int) -> None:
    # Opset 11 still wants scales, which are then empty.
    body = f"y = Resize<{grid}>(x, r, none, z)"
    graph = assert_same(build(body, opset=opset, **given(1, 3, *size)))
    (node,) = graph.nodes
    assert isinstance(node.operator, Resize)
    assert node.operator.size == size
    assert node.operator.linear == (grid != NEAREST)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("scales", [(2, 2), (0.5, 0.25), (1.5, 3), (1, 2)])
def test_scales(scales: tuple[float, float], grid: str, opset: int) -> None:
    constants: Constants = {"r": f32([]), "s": f32([1, 1, *scales])}
    graph = assert_same(build(f"y = Resize<{grid}>(x, r, s)", opset=opset, **constants))
    assert graph.shapes["y"] == (1, 3, int(8 * scales[0]), int(8 * scales[1]))


@pytest.mark.parametrize("opset", [18, 28])
@pytest.mark.parametrize("axes", ["2,3", "-1,-2", "3,2"])
def test_axes(axes: str, opset: int) -> None:
    attributes = f"{NEAREST}, axes=[{axes}]"
    assert_same(build(f'y = Resize<{attributes}>(x, "", "", z)', opset=opset, z=int64(16, 4)))
    assert_same(build(f'y = Resize<{attributes}>(x, "", s)', opset=opset, s=f32([2, 0.5])))


def test_one_axis() -> None:
    body = f'y = Resize<{NEAREST}, axes=[3]>(x, "", "", z)'
    assert assert_same(build(body, opset=18, z=int64(16))).shapes["y"] == (1, 3, 8, 16)


@pytest.mark.parametrize("grid", ["asymmetric", "align_corners"])
def test_to_one_pixel(grid: str) -> None:
    body = f'y = Resize<{linear(grid)}>(x, "", "", z)'
    assert_same(build(body, z=int64(1, 3, 1, 1)))


def test_of_one_pixel() -> None:
    for grid in GRIDS:
        body = f'p = GlobalAveragePool(x) y = Resize<{grid}>(p, "", "", z)'
        assert_same(build(body, z=int64(1, 3, 4, 5)))


def test_to_its_own_size_it_is_nothing() -> None:
    body = f'a = Exp(x) y = Resize<{NEAREST}>(a, "", "", z)'
    graph = assert_same(build(body, z=int64(1, 3, 8, 8)), spread=1)
    assert [node.kind for node in graph.nodes] == ["Exp"]


def test_a_static_batch_becomes_one() -> None:
    body = f'y = Resize<{NEAREST}>(x, "", "", z)'
    model = build(body, "float[8,3,8,8]", z=int64(8, 3, 16, 16))
    assert assert_same(model, batch=8).shapes["y"] == (1, 3, 16, 16)


def test_sizes_from_the_shape() -> None:
    body = (
        "s = Shape(x) h = Slice(s, two, four) d = Mul(h, two) n = Slice(s, zero, two) "
        f'z = Concat<axis=0>(n, d) y = Resize<{NEAREST}>(x, "", "", z)'
    )
    constants: Constants = {"zero": int64(0), "two": int64(2), "four": int64(4)}
    assert assert_same(build(body, **constants)).shapes["y"] == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("attributes", "opset", "reason"),
    [
        ('mode="cubic"', 17, "mode 'cubic' with antialias or cubic weights"),
        ('mode="linear", antialias=1', 18, "antialias"),
        ('mode="nearest"', 17, "the nearest pixel by 'half_pixel' and 'round_prefer_floor'"),
        ('coordinate_transformation_mode="asymmetric"', 17, "'round_prefer_floor'; allowed"),
        ('nearest_mode="floor"', 17, "the nearest pixel by 'half_pixel' and 'floor'"),
        (linear("tf_crop_and_resize"), 17, "coordinates 'tf_crop_and_resize'; allowed: half_pixel"),
        (linear("half_pixel_symmetric"), 19, "coordinates 'half_pixel_symmetric'"),
        (f'{NEAREST}, keep_aspect_ratio_policy="not_larger"', 18, "only the policy 'stretch'"),
        (f"{NEAREST}, axes=[1,2,3,4]", 18, "axis 4 of a value of 4 axes"),
        (f"{NEAREST}, axes=[2,3]", 18, "neither sizes nor scales for its axes"),
        (f"{NEAREST}, axes=[2,3]", 17, "not as opset 17 defines it"),
    ],
)
def test_modes_that_are_refused(attributes: str, opset: int, reason: str) -> None:
    body = f'y = Resize<{attributes}>(x, "", "", z)'
    assert_refused(build(body, opset=opset, z=int64(1, 3, 16, 16)), reason)


@pytest.mark.parametrize("grid", ["half_pixel", "pytorch_half_pixel"])
@pytest.mark.parametrize("size", [(1, 8), (8, 1)])
def test_half_pixels_of_one_pixel_are_refused(size: tuple[int, int], grid: str) -> None:
    body = f'y = Resize<{linear(grid)}>(x, "", "", z)'
    assert_refused(build(body, z=int64(1, 3, *size)), "an output of one pixel")


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        (int64(1, 4, 8, 8), "only height and width can change"),
        (int64(2, 3, 16, 16), "only height and width can change"),
        (int64(1, 3, 0, 8), "only height and width can change"),
        (int64(1, 3, -1, 8), "only height and width can change"),
        (int64(16, 16), "neither sizes nor scales"),
        (int64(1, 3, 1 << 20, 1 << 20), "empty or too large"),
        (np.asarray(["a"] * 4), "not a list of whole numbers"),
        (f32([1, 3, 16, 16]), "not a list of whole numbers"),
    ],
)
def test_sizes_that_are_refused(sizes: Array, reason: str) -> None:
    assert_refused(build(f'y = Resize<{NEAREST}>(x, "", "", z)', z=sizes), reason)


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        (f32([1, 2, 2, 2]), "only height and width can change"),
        (f32([1, 1, 0, 1]), "only height and width can change"),
        (f32([1, 1, -1, 1]), "only height and width can change"),
        (f32([1, 1, 1.3, 1]), "a scale of 1.2999999523162842 does not give whole pixels"),
        (f32([2, 2]), "neither sizes nor scales"),
        (f32([1, 1, np.nan, 1]), "NaN or infinity"),
        (f32([1, 1, np.inf, 1]), "NaN or infinity"),
        (f32([1, 1, 1e30, 1]), "empty or too large"),
        (np.asarray([1.0, 1, 2, 2]), "float64; only float32"),
    ],
)
def test_scales_that_are_refused(scales: Array, reason: str) -> None:
    assert_refused(build(f'y = Resize<{NEAREST}>(x, "", s)', s=scales), reason)


def test_without_sizes_and_scales_is_refused() -> None:
    assert_refused(build(f"y = Resize<{NEAREST}>(x)"), "neither sizes nor scales")


def test_other_ranks_are_refused() -> None:
    body = f'f = Flatten(x) y = Resize<{NEAREST}>(f, "", "", z)'
    assert_refused(build(body, z=int64(1, 384)), "only [N, C, H, W] is supported")


def test_sizes_from_the_image_are_refused() -> None:
    assert_refused(build(f'y = Resize<{NEAREST}>(x, "", "", x)'), "computed from the image")
