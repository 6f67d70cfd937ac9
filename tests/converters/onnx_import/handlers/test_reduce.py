import numpy as np
import pytest

from converters.operators import GlobalAveragePool, Reshape
from tests.converters.models import Constants, assert_same, build, int64
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("axes", ["2,3", "-1,-2", "3,2"])
def test_axes_as_an_attribute(opset: int, axes: str) -> None:
    graph = assert_same(build(f"y = ReduceMean<axes=[{axes}]>(x)", opset=opset))
    assert [node.operator for node in graph.nodes] == [GlobalAveragePool()]


@pytest.mark.parametrize("opset", [18, 28])
@pytest.mark.parametrize("axes", [(2, 3), (-1, -2)])
def test_axes_as_an_input(opset: int, axes: tuple[int, int]) -> None:
    graph = assert_same(build("y = ReduceMean<keepdims=1>(x, a)", opset=opset, a=int64(*axes)))
    assert [node.operator for node in graph.nodes] == [GlobalAveragePool()]


@pytest.mark.parametrize(
    ("body", "opset"),
    [("ReduceMean<axes=[2,3], keepdims=0>(x)", 13), ("ReduceMean<keepdims=0>(x, a)", 18)],
)
def test_without_kept_dimensions(body: str, opset: int) -> None:
    constants: Constants = {"a": int64(2, 3)} if opset == 18 else {}
    graph = assert_same(build(f"y = {body}", opset=opset, **constants))
    assert [node.operator for node in graph.nodes] == [GlobalAveragePool(), Reshape((1, 3))]


KINDS = ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [(1,), (-1,), (1, 2, 3), (3, 1), (2, 3)])
def test_every_kind_over_every_axis(kind: str, keep: int, axes: tuple[int, ...]) -> None:
    graph = assert_same(build(f"y = {kind}<keepdims={keep}>(x, a)", opset=18, a=int64(*axes)))
    assert len(graph.shapes["y"]) == (4 if keep else 4 - len(axes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("opset", [11, 13])
def test_axes_before_they_were_inputs(kind: str, opset: int) -> None:
    if kind == "ReduceSum" and opset == 13:
        assert_same(build(f"y = {kind}(x, a)", opset=opset, a=int64(1)))
    else:
        assert_same(build(f"y = {kind}<axes=[1]>(x)", opset=opset))


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("kind", KINDS)
def test_without_axes_over_all(kind: str, opset: int) -> None:
    graph = assert_same(build(f"y = {kind}(x)", opset=opset))
    assert graph.shapes["y"] == (1, 1, 1, 1)


def test_without_axes_over_none_where_the_node_says_so() -> None:
    body = "a = Relu(x) y = ReduceSum<noop_with_empty_axes=1>(a)"
    assert len(assert_same(build(body)).nodes) == 1


def test_the_square_root_of_a_square_alone_is_the_magnitude() -> None:
    graph = assert_same(build("y = ReduceL2<noop_with_empty_axes=1>(x)", opset=18))
    assert [node.kind for node in graph.nodes] == ["Abs"]


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        ("ReduceMean<axes=[2,3]>(x)", 18, "not as opset 18 defines it"),
        ("ReduceMean(x, x)", 18, "computed from the image"),
        ("ReduceMean(x, a)", 18, "not a list of whole numbers"),
        ("ReduceMean(f, b)", 18, "axis 2 of a value of 2 axes"),
        ("ReduceMean(x, c)", 18, "name one twice"),
        ("ReduceMean(x, d)", 18, "axis -5 of a value of 4 axes"),
    ],
)
def test_refusals(body: str, opset: int, reason: str) -> None:
    constants: Constants = {
        "a": np.asarray([[2, 3]]),
        "b": int64(2, 3),
        "c": int64(2, 3, -1),
        "d": int64(-5),
    }
    assert_refused(build(f"f = Flatten(x) y = {body}", opset=opset, **constants), reason)
