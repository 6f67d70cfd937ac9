import numpy as np
import pytest

from converters.operators import Affine, Conv, Gemm
from converters.passes.fold_affine import fold_affine, scale_channels
from converters.passes.fold_clamp import fold_clamp
from tests.converters.models import Constants, build, imported, normal
from tests.converters.passes.graphs import applied

NORM = "BatchNormalization({}, g, b, m, v)"


def constants(channels: int) -> Constants:
    return {
        "g": normal(channels, seed=1),
        "b": normal(channels, seed=2),
        "m": normal(channels, seed=3),
        "v": np.abs(normal(channels, seed=4)),
    }


@pytest.mark.parametrize("attributes", ["", "<group=3, pads=[1,1,1,1]>"])
def test_into_a_convolution(attributes: str) -> None:
    weight = normal(4, 3, 3, 3) if not attributes else normal(6, 1, 3, 3)
    body = f"c = Conv{attributes}(x, w) y = {NORM.format('c')}"
    result = applied(fold_affine, imported(build(body, w=weight, **constants(len(weight)))))
    (node,) = result.graph.nodes
    assert isinstance(node.operator, Conv)
    assert (node.name, node.output) == ("Conv_c", "y")
    assert result.changed == ("BatchNormalization_y into Conv_c",)
    assert result.left == ()


def test_into_a_gemm_with_its_bias() -> None:
    body = f"f = Flatten(x) a = MatMul(f, w) d = Add(a, k) y = {NORM.format('d')}"
    model = build(body, "float[1,3,2,2]", w=normal(12, 5), k=normal(5), **constants(5))
    result = applied(fold_affine, imported(model))
    assert [node.kind for node in result.graph.nodes] == ["Reshape", "Gemm"]
    assert isinstance(result.graph.nodes[-1].operator, Gemm)
    assert result.changed == ("Add_d into MatMul_a", "BatchNormalization_y into MatMul_a")


@pytest.mark.parametrize(
    ("body", "outputs", "reason"),
    [
        (f"y = {NORM.format('x')}", ["y"], "the input before it has no weights"),
        (f"r = Relu(x) y = {NORM.format('r')}", ["y"], "Clamp before it has no weights"),
        (f"c = Conv(x, w) y = {NORM.format('c')}", ["y", "c"], "read elsewhere too"),
        (
            f"c = Conv(x, w) r = Relu(c) n = {NORM.format('c')} y = Add(r, n)",
            ["y"],
            "the output of Conv_c is read elsewhere too",
        ),
    ],
)
def test_left_alone(body: str, outputs: list[str], reason: str) -> None:
    graph = imported(build(body, outputs=outputs, w=normal(3, 3, 1, 1), **constants(3)))
    result = applied(fold_affine, graph)
    assert result.graph == graph
    assert result.changed == ()
    (left,) = result.left
    assert left.startswith("BatchNormalization_")
    assert left.endswith(reason)


@pytest.mark.parametrize("shape", [(3, 1, 1), (8, 1), (8,)])
def test_affines_of_one_axis_become_one(shape: tuple[int, ...]) -> None:
    body = "a = Mul(x, g) b = Add(a, o) c = Sub(o, b) y = Div(c, d)"
    positive = np.abs(normal(*shape, seed=3)) + np.float32(0.5)
    model = build(body, g=normal(*shape, seed=1), o=normal(*shape, seed=2), d=positive)
    result = applied(fold_affine, imported(model))
    (node,) = result.graph.nodes
    assert isinstance(node.operator, Affine)
    assert node.operator.axis == 4 - len(shape)
    assert result.changed == ("Add_b into Mul_a", "Sub_c into Mul_a", "Div_y into Mul_a")
    assert result.left == ("Mul_a: the input before it has no weights",)


def test_affines_of_different_axes_stay_two() -> None:
    body = "a = Mul(x, g) b = Add(a, o) y = Mul(b, h)"
    model = build(body, g=normal(3, 1, 1), o=normal(8, seed=1), h=normal(8, seed=2))
    result = applied(fold_affine, imported(model))
    assert [node.name for node in result.graph.nodes] == ["Mul_a", "Add_b"]
    assert result.changed == ("Mul_y into Add_b",)
    assert result.left[1] == "Add_b: it is along another axis than the channels of Mul_a"


def test_an_affine_that_others_read_stays_one() -> None:
    body = "a = Mul(x, g) b = Add(a, o) y = Add(a, b)"
    graph = imported(build(body, g=normal(3, 1, 1), o=normal(3, 1, 1)))
    result = applied(fold_affine, graph)
    assert result.graph == graph
    assert result.left[1] == "Add_b: the output of Mul_a is read elsewhere too"


@pytest.mark.parametrize(("shape", "kept"), [((3, 1, 1), 0), ((8, 1), 1), ((8,), 1), ((), 0)])
def test_into_a_convolution_along_its_channels_only(shape: tuple[int, ...], kept: int) -> None:
    model = build("c = Conv(x, w) y = Mul(c, g)", w=normal(3, 3, 1, 1), g=normal(*shape))
    result = applied(fold_affine, imported(model))
    assert len(result.graph.nodes) == 1 + kept
    if kept:
        assert result.left == ("Mul_y: it is along another axis than the channels of Conv_c",)


@pytest.mark.parametrize(("shape", "kept"), [((5,), 0), ((3, 1, 1), 1), ((8, 1), 1)])
def test_into_a_product_along_its_last_axis_only(shape: tuple[int, ...], kept: int) -> None:
    model = build("m = MatMul(x, w) y = Add(m, o)", w=normal(8, 5), o=normal(*shape))
    result = applied(fold_affine, imported(model))
    assert [node.kind for node in result.graph.nodes] == ["Gemm", *["Affine"] * kept]


def test_left_behind_a_clamp_that_was_folded() -> None:
    body = f"c = Conv(x, w) r = Relu(c) y = {NORM.format('r')}"
    graph = fold_clamp(imported(build(body, w=normal(3, 3, 1, 1), **constants(3)))).graph
    result = applied(fold_affine, graph)
    assert result.left == ("BatchNormalization_y: Conv_c ends in a clamp",)


def test_scale_channels_makes_a_new_kernel() -> None:
    weight = normal(2, 3, 3, 3)
    before = weight.copy()
    scaled = scale_channels(weight, np.asarray([2.0, -0.5]))
    np.testing.assert_array_equal(scaled[0], before[0] * 2, strict=True)
    np.testing.assert_array_equal(scaled[1], before[1] * np.float32(-0.5))
    np.testing.assert_array_equal(weight, before)


def test_what_would_become_infinite_is_left() -> None:
    large = np.asarray(1e30, np.float32)
    model = build("c = Conv(x, w) a = Mul(c, g) y = Mul(a, g)", w=normal(4, 3, 1, 1), g=large)
    result = applied(fold_affine, imported(model))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "Affine"]
    assert result.changed == ("Mul_a into Conv_c",)
    assert result.left == ("Mul_y: its product with Conv_c is infinite",)
