import pytest

from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [17, 18, 28]
# Both sides sum up to 192 float32 squares, in another order.
RTOL = 1e-4


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("inputs", ["x, g", "x, g, b"])
@pytest.mark.parametrize(
    ("axis", "shape"),
    [("", (8,)), ("<axis=-1>", (8,)), ("<axis=2>", (8, 8)), ("<axis=-3>", (3, 8, 8))],
)
def test_numbers(axis: str, shape: tuple[int, ...], inputs: str, opset: int) -> None:
    model = build(
        f"y = LayerNormalization{axis}({inputs})",
        opset=opset,
        g=normal(*shape, seed=1),
        b=normal(*shape, seed=2),
    )
    graph = assert_same(model, rtol=RTOL)
    assert "Rsqrt" in [node.kind for node in graph.nodes]


@pytest.mark.parametrize("epsilon", ["1e-12", "1e-5", "0.5", "100.0"])
def test_epsilon(epsilon: str) -> None:
    body = f"y = LayerNormalization<epsilon={epsilon}>(x, g, b)"
    assert_same(build(body, g=normal(8, seed=1), b=normal(8, seed=2)), rtol=RTOL)


@pytest.mark.parametrize("shape", [(24, 8), (1, 24, 8), (1, 2, 3, 4, 8)])
def test_every_rank(shape: tuple[int, ...]) -> None:
    body = "r = Reshape(x, s) y = LayerNormalization(r, g, b)"
    model = build(body, s=int64(*shape), g=normal(8, seed=1), b=normal(8, seed=2))
    assert_same(model, whole=True, rtol=RTOL)


@pytest.mark.parametrize("shape", [(1,), (8, 1), (1, 8), (3, 1, 1)])
def test_a_scale_that_broadcasts(shape: tuple[int, ...]) -> None:
    body = "y = LayerNormalization<axis=1>(x, g)"
    assert_same(build(body, g=normal(*shape)), rtol=RTOL)


@pytest.mark.parametrize(
    ("scale", "bias", "reason"),
    [
        (normal(7), normal(8), "do not fit together"),
        (normal(8), normal(7), "do not fit together"),
        (normal(2, 1, 3, 8, 8), normal(8), "larger than its input"),
        (normal(8), normal(1, 1, 1, 1, 8), "larger than its input"),
        (f32([float("nan")] * 8), normal(8), "NaN or infinity"),
        (int64(*range(8)), normal(8), "int64; only float32"),
    ],
)
def test_constants_that_are_refused(scale: Array, bias: Array, reason: str) -> None:
    assert_refused(build("y = LayerNormalization(x, g, b)", g=scale, b=bias), reason)


def test_its_mean_and_what_it_multiplies_by() -> None:
    body = "y, m, d = LayerNormalization(x, g)"
    graph = assert_same(build(body, outputs=("y", "m", "d"), g=normal(8)))
    assert graph.outputs == ("y", "m", "d")
    assert assert_same(build('y, "", d = LayerNormalization(x, g)', outputs=("d",), g=normal(8)))


def test_a_scale_larger_than_a_pixel_is_refused() -> None:
    body = "p = GlobalAveragePool(x) y = LayerNormalization(p, g)"
    assert_refused(build(body, g=normal(3, 1)), "larger than its input of shape (1, 3, 1, 1)")


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        ("y = LayerNormalization<axis=4>(x, g)", 17, "axis 4 of a value of 4 axes"),
        ("y = LayerNormalization<axis=-5>(x, g)", 17, "axis -5 of a value of 4 axes"),
        ("y = LayerNormalization(x, x)", 17, "computed from the image"),
        ("y = LayerNormalization(x, g)", 16, "not as opset 16 defines it"),
    ],
)
def test_refusals(body: str, opset: int, reason: str) -> None:
    assert_refused(build(body, opset=opset, g=normal(8)), reason)


def test_outputs_without_a_name_are_none() -> None:
    assert_same(build('y, "", "" = LayerNormalization(x, g)', g=normal(8)), rtol=RTOL)
