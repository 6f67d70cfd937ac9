import pytest

from converters.operators import LeakyRelu, PRelu
from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1, 1), (8,), (3, 8, 8), (1, 1, 8, 1)])
def test_a_slope_along_axes(shape: tuple[int, ...], opset: int) -> None:
    graph = assert_same(build("y = PRelu(x, s)", opset=opset, s=normal(*shape)))
    assert [node.kind for node in graph.nodes] == ["Constant", "PRelu"]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1), (1, 1, 1, 1)])
def test_one_slope_is_a_leaky_relu(shape: tuple[int, ...], opset: int) -> None:
    slope = normal(*shape)
    graph = assert_same(build("y = PRelu(x, s)", opset=opset, s=slope))
    assert [node.operator for node in graph.nodes] == [LeakyRelu(float(slope.reshape(())))]


@pytest.mark.parametrize("shape", [(8, 24), (1, 3, 64), (192,)])
def test_other_ranks(shape: tuple[int, ...]) -> None:
    body = "r = Reshape(x, t) y = PRelu(r, s)"
    model = build(body, t=int64(*shape), s=normal(shape[-1]))
    assert isinstance(assert_same(model, whole=True).nodes[-1].operator, PRelu)


@pytest.mark.parametrize(
    ("slope", "reason"),
    [
        (normal(1, 1, 1, 1, 1), "its slope has shape (1, 1, 1, 1, 1)"),
        (normal(1, 1, 3, 1, 1), "its slope has shape (1, 1, 3, 1, 1)"),
        (normal(4, 1, 1), "do not fit together"),
        (normal(3), "do not fit together"),
        (f32([float("nan")]), "NaN or infinity"),
        (int64(1), "int64; only float32"),
    ],
)
def test_refusals(slope: Array, reason: str) -> None:
    assert_refused(build("y = PRelu(x, s)", s=slope), reason)


def test_a_slope_from_the_image_is_refused() -> None:
    assert_refused(build("y = PRelu(x, x)"), "computed from the image")
