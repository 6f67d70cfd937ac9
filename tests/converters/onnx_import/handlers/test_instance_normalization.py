import pytest

from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

# Both sides sum up to 64 float32 squares, in another order.
RTOL = 1e-4


@pytest.mark.parametrize("opset", [11, 13, 18, 22, 28])
def test_numbers(opset: int) -> None:
    model = build(
        "y = InstanceNormalization(x, g, b)", opset=opset, g=normal(3, seed=1), b=normal(3, seed=2)
    )
    graph = assert_same(model, rtol=RTOL)
    assert "Rsqrt" in [node.kind for node in graph.nodes]


@pytest.mark.parametrize("epsilon", ["1e-12", "0.5", "100.0"])
def test_epsilon(epsilon: str) -> None:
    body = f"y = InstanceNormalization<epsilon={epsilon}>(x, g, b)"
    assert_same(build(body, g=normal(3, seed=1), b=normal(3, seed=2)), rtol=RTOL)


@pytest.mark.parametrize("x", ["float[1,1,8,8]", "float[N,1,4,9]"])
def test_one_channel(x: str) -> None:
    assert_same(build("y = InstanceNormalization(x, g, b)", x, g=normal(1), b=normal(1)), rtol=RTOL)


@pytest.mark.parametrize("shape", [(1, 3, 64), (1, 3, 2, 4, 8)])
def test_rows_and_volumes(shape: tuple[int, ...]) -> None:
    body = "r = Reshape(x, s) y = InstanceNormalization(r, g, b)"
    assert_same(build(body, s=int64(*shape), g=normal(3), b=normal(3)), rtol=RTOL)


@pytest.mark.parametrize(
    ("scale", "bias", "reason"),
    [
        (normal(1), normal(1), "scale (1,) and bias (1,) of 3 channels"),
        (normal(4), normal(3), "scale (4,) and bias (3,) of 3 channels"),
        (normal(3), normal(2), "scale (3,) and bias (2,) of 3 channels"),
        (normal(3, 1), normal(3), "scale (3, 1) and bias (3,) of 3 channels"),
        (f32([1, float("inf"), 1]), normal(3), "NaN or infinity"),
        (normal(3), int64(1, 2, 3), "int64; only float32"),
    ],
)
def test_constants_that_are_refused(scale: Array, bias: Array, reason: str) -> None:
    assert_refused(build("y = InstanceNormalization(x, g, b)", g=scale, b=bias), reason)


def test_an_input_without_pixels_is_refused() -> None:
    body = "p = GlobalAveragePool(x) f = Flatten(p) y = InstanceNormalization(f, g, b)"
    assert_refused(build(body, g=normal(3), b=normal(3)), "which has no pixels")


def test_a_scale_from_the_image_is_refused() -> None:
    model = build("y = InstanceNormalization(x, x, b)", b=normal(3))
    assert_refused(model, "computed from the image")
