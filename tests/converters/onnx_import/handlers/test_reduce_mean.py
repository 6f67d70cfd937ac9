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


@pytest.mark.parametrize("axes", [(2,), (1, 2, 3), (1, 2), (2, 3, 3), (6, 7), (-5, 2), ()])
def test_other_axes_are_refused(axes: tuple[int, ...]) -> None:
    model = build("y = ReduceMean(x, a)", opset=18, a=int64(*axes))
    assert_refused(model, "supported is the mean over height and width")


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        ("ReduceMean(x)", 13, "axes []"),
        ("ReduceMean(x)", 18, "axes []"),
        ("ReduceMean<axes=[2,3]>(x)", 18, "not as opset 18 defines it"),
        ("ReduceMean(x, x)", 18, "computed from the image"),
        ("ReduceMean(x, a)", 18, "not a list of whole numbers"),
        ("ReduceMean(f, b)", 18, "of (1, 192)"),
    ],
)
def test_refusals(body: str, opset: int, reason: str) -> None:
    constants: Constants = {"a": np.asarray([[2, 3]]), "b": int64(2, 3)}
    assert_refused(build(f"f = Flatten(x) y = {body}", opset=opset, **constants), reason)
