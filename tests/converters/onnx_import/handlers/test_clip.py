import numpy as np
import pytest

from converters.operators import INFINITY, Clamp
from edge.tensors import Array
from tests.converters.models import Constants, assert_same, build, f32, imported
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 12, 13, 28])
@pytest.mark.parametrize(
    ("inputs", "clamp"),
    [
        ("x, low, high", Clamp(-1.0, 6.0)),
        ('x, "", high', Clamp(-INFINITY, 6.0)),
        ("x, low", Clamp(-1.0, INFINITY)),
        ("x, zero, high", Clamp(0.0, 6.0)),
    ],
)
def test_limits(opset: int, inputs: str, clamp: Clamp) -> None:
    limits: Constants = {"low": f32(-1), "high": f32(6), "zero": f32(0)}
    graph = assert_same(build(f"y = Clip({inputs})", opset=opset, **limits))
    assert graph.nodes[0].operator == clamp


def test_without_limits_it_is_nothing() -> None:
    graph = assert_same(build("a = Relu(x) y = Clip(a)"), spread=1)
    assert len(graph.nodes) == 1


def test_a_limit_of_one_entry() -> None:
    # ONNX asks for a scalar; what exporters computed has rank 1 and the same number.
    body = "a = Clip(x, low) y = Relu(a)"
    graph = imported(build(body, low=np.asarray([-2], np.float32)))
    assert graph.nodes[0].operator == Clamp(-2.0, INFINITY)


@pytest.mark.parametrize(
    ("low", "high"), [(f32(0.5), f32(6)), (f32(-6), f32(-0.5)), (f32(0), f32(0))]
)
def test_limits_on_one_side_of_zero_are_comparisons(low: Array, high: Array) -> None:
    graph = assert_same(build("y = Clip(x, low, high)", low=low, high=high))
    assert [node.kind for node in graph.nodes] == ["Constant", "Maximum", "Constant", "Minimum"]
    graph = assert_same(build('y = Clip(x, "", high)', high=f32(-1)))
    assert graph.nodes[-1].kind == "Minimum"
    graph = assert_same(build("y = Clip(x, low)", low=f32(1)))
    assert graph.nodes[-1].kind == "Maximum"


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [
        (f32(1), f32(-1), "the first is above the second"),
        (f32(np.nan), f32(6), "not one number"),
        (np.zeros(2, np.float32), f32(6), "not one number"),
        (np.asarray("a"), f32(6), "not one number"),
    ],
)
def test_refusals(low: Array, high: Array, reason: str) -> None:
    assert_refused(build("y = Clip(x, low, high)", low=low, high=high), reason)


def test_a_limit_from_the_image_is_refused() -> None:
    assert_refused(build("y = Clip(x, x)"), "computed from the image")
