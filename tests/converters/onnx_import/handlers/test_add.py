import numpy as np
import pytest

from converters.operators import Add, Affine
from tests.converters.models import assert_same, build, normal
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 13, 14, 28])
def test_shortcut(opset: int) -> None:
    graph = assert_same(build("a = Relu(x) y = Add(a, x)", opset=opset))
    assert isinstance(graph.nodes[-1].operator, Add)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1), (3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize("order", ["x, c", "c, x"])
def test_constant_a_channel(shape: tuple[int, ...], order: str) -> None:
    graph = assert_same(build(f"y = Add({order})", c=normal(*shape)))
    assert isinstance(graph.nodes[-1].operator, Affine)


def test_bias_of_a_matmul() -> None:
    assert_same(
        build(
            "p = GlobalAveragePool(x) f = Flatten(p) m = MatMul(f, w) y = Add(m, b)",
            w=normal(3, 5),
            b=normal(5),
        )
    )


@pytest.mark.parametrize("shape", [(8,), (1, 8), (3, 8, 1), (2, 3, 1, 1), (1, 1, 3, 1, 1), (0,)])
def test_constants_along_other_axes_are_refused(shape: tuple[int, ...]) -> None:
    assert_refused(build("y = Add(x, c)", c=normal(*shape)), "one value, or one a channel")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("p = GlobalAveragePool(x) y = Add(x, p)", "must be equal"),
        ("y = Add(x)", "not as opset 17 defines it"),
        ('y = Add(x, "")', "not as opset 17 defines it"),
        ("y = Add(x, n)", "NaN"),
        ("y = Add(x, k)", "int64"),
    ],
)
def test_refusals(body: str, reason: str) -> None:
    nan = np.asarray([np.nan], np.float32)
    assert_refused(build(body, n=nan, k=np.asarray([1])), reason)


@pytest.mark.parametrize(("features", "good"), [(4096, True), (4097, False)])
def test_longest_vector(features: int, good: bool) -> None:
    # Longer, it would be a Gemm of more than 4096 x 4096 weights.
    model = build("f = Flatten(x) y = Add(f, c)", f"float[1,1,1,{features}]", c=normal(1))
    if good:
        assert_same(model)
    else:
        assert_refused(model, "at most 4096")
