import numpy as np
import pytest

from converters.operators import Conv, Gemm
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
