import numpy as np
import pytest

from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, int64, normal
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
def test_every_axis(axis: int, opset: int) -> None:
    body = f"a = Neg(x) b = Relu(x) y = Concat<axis={axis}>(a, x, b)"
    graph = assert_same(build(body, opset=opset))
    assert graph.nodes[-1].kind == "Concat"


@pytest.mark.parametrize("axis", [0, -4])
def test_along_the_batch(axis: int) -> None:
    graph = assert_same(build(f"a = Neg(x) y = Concat<axis={axis}>(a, x)"), whole=True)
    assert graph.shapes["y"] == (2, 3, 8, 8)


def test_of_different_sides() -> None:
    body = "a = MaxPool<kernel_shape=[4,1]>(x) y = Concat<axis=2>(x, a)"
    assert assert_same(build(body)).shapes["y"] == (1, 3, 13, 8)


@pytest.mark.parametrize("inputs", ["c, x", "x, c", "x, x, c"])
def test_with_a_constant(inputs: str) -> None:
    graph = assert_same(build(f"y = Concat<axis=1>({inputs})", c=normal(1, 2, 8, 8)))
    assert [node.kind for node in graph.nodes] == ["Constant", "Concat"]


@pytest.mark.parametrize("inputs", ["a", "a, e", "e, a, e"])
def test_of_one_input_and_nothing_is_that(inputs: str) -> None:
    graph = assert_same(build(f"a = Exp(x) y = Concat<axis=1>({inputs})", e=normal(1, 0, 8, 8)))
    assert [node.kind for node in graph.nodes] == ["Exp"]


@pytest.mark.parametrize(
    ("axis", "other", "reason"),
    [
        (4, normal(1, 3, 8, 8), "axis 4 of a value of 4 axes"),
        (-5, normal(1, 3, 8, 8), "axis -5 of a value of 4 axes"),
        (1, normal(1, 3, 8, 7), "differ beside axis 1"),
        (1, normal(1, 3, 8), "differ beside axis 1"),
        (1, int64(1), "int64; only float32"),
        (1, f32(np.full((1, 3, 8, 8), np.inf)), "NaN or infinity"),
        (1, f32(1), "differ beside axis 1"),
    ],
)
def test_refusals(axis: int, other: Array, reason: str) -> None:
    assert_refused(build(f"y = Concat<axis={axis}>(x, c)", c=other), reason)


def test_without_an_axis_is_refused() -> None:
    assert_refused(build("y = Concat(x, x)"), "not as opset 17 defines it")


def test_of_single_numbers_is_refused() -> None:
    model = build("m = ReduceMean<keepdims=0>(x) y = Concat<axis=0>(m, m)", opset=13)
    assert_refused(model, "it has nothing to join")
