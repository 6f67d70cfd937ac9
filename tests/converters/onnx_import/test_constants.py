import numpy as np
import onnx
import pytest
from onnx import parser

from converters.onnx_import import constants
from converters.onnx_import.constants import fold
from converters.onnx_import.source import Activation, RefusedError
from edge.tensors import Array
from tests.converters.models import assert_same, build, int64, normal


def node(text: str) -> onnx.NodeProto:
    return parser.parse_node(text)


def test_only_constants_are_folded() -> None:
    add = node("c = Add(a, b)")
    assert fold(add, [int64(1), Activation("b", (1,))], 17) is None
    assert fold(node("c = Relu(a)"), [normal(3)], 17) is None
    assert fold(node("c = Cast<to=1>()"), [], 17) is None


@pytest.mark.parametrize(
    ("text", "inputs", "expected"),
    [
        ("c = Add(a, b)", [int64(1, 2), int64(3)], int64(4, 5)),
        ("c = Gather(a, b)", [int64(7, 8, 9), np.asarray(1)], np.asarray(8)),
        ("c = Slice(a, b, d)", [int64(7, 8, 9), int64(1), int64(3)], int64(8, 9)),
        ("c = Concat<axis=0>(a, b)", [int64(1), int64(2)], int64(1, 2)),
        ("c = Unsqueeze(a, b)", [np.asarray(3), int64(0)], int64(3)),
        ("c = Cast<to=1>(a)", [int64(3)], np.asarray([3], np.float32)),
        ("c = Div(a, b)", [int64(7), int64(2)], int64(3)),
        ("c = Expand(a, b)", [int64(4), int64(2, 3)], np.full((2, 3), 4)),
        ("c = CastLike(a, b)", [int64(3), normal(1)], np.asarray([3], np.float32)),
        ("c = Transpose(a)", [int64(1, 2).reshape(2, 1)], int64(1, 2).reshape(1, 2)),
    ],
)
def test_values(text: str, inputs: list[Array], expected: Array) -> None:
    result = fold(node(text), inputs, 17)
    assert result is not None
    np.testing.assert_array_equal(result, expected, strict=True)


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("c = Add(a, b)", [int64(1, 2), int64(1, 2, 3)]),
        ("c = Reshape(a, b)", [int64(1, 2), int64(3)]),
        ("c = Expand(a, b)", [int64(1, 2), int64(3)]),
        ("c = Expand(a, b)", [int64(1, 2), int64(-5)]),
        ("c = Expand(a, b)", [int64(1, 2), np.asarray(2)]),
        ("c = Gather(a, b)", [int64(1, 2), int64(2)]),
        ("c = Concat<axis=3>(a, b)", [int64(1), int64(2)]),
    ],
)
def test_constants_that_do_not_fit_together(text: str, inputs: list[Array]) -> None:
    with pytest.raises(RefusedError, match="its constant inputs do not fit together"):
        fold(node(text), inputs, 17)


@pytest.mark.parametrize(
    ("text", "shapes", "size"),
    [
        ("c = Gather(a, b)", [(8, 8), (8, 8)], 8**4),
        ("c = Add(a, b)", [(64, 1), (1, 64)], 64**2),
    ],
)
def test_huge_constants_are_refused_before_they_are_made(
    text: str, shapes: list[tuple[int, ...]], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [np.zeros(shape, np.int64) for shape in shapes]
    monkeypatch.setattr(constants, "MAX_GROWN", size)
    assert fold(node(text), inputs, 17) is not None
    monkeypatch.setattr(constants, "MAX_GROWN", size - 1)
    with pytest.raises(RefusedError, match=f"would hold {size} numbers"):
        fold(node(text), inputs, 17)


def test_what_does_not_grow_may_be_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "MAX_GROWN", 1)
    assert fold(node("c = Concat<axis=0>(a, b)"), [int64(1, 2), int64(3)], 17) is not None
    assert fold(node("c = Add(a, b)"), [int64(1, 2), int64(3)], 17) is not None


def test_a_huge_expand_is_refused_before_it_is_made() -> None:
    with pytest.raises(RefusedError, match=f"would hold {2**60} numbers"):
        fold(node("c = Expand(a, b)"), [int64(1), int64(2**30, 2**30)], 17)


SHAPES = {
    "x.view(x.size(0), -1)": "s = Shape(p) i = Constant<value_int=0>() g = Gather(s, i) "
    "u = Unsqueeze(g, zero) t = Concat<axis=0>(u, minus) y = Reshape(p, t)",
    "by Slice": "s = Shape(p) b = Slice(s, zero, one) t = Concat<axis=0>(b, minus) "
    "y = Reshape(p, t)",
    "by Shape of opset 15": "b = Shape<start=0, end=1>(p) t = Concat<axis=0>(b, minus) "
    "y = Reshape(p, t)",
    "with arithmetic": "s = Shape<start=-3>(p) i = Constant<value_int=0>() c = Gather(s, i) "
    "d = Mul(c, one) k = Cast<to=7>(d) u = Reshape(k, minus) t = Concat<axis=0>(minus, u) "
    "y = Reshape(p, t)",
}


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("batch", ["1", "4", "N"])
def test_shape_arithmetic_of_exporters(shapes: str, batch: str) -> None:
    model = build(
        f"p = GlobalAveragePool(x) {SHAPES[shapes]}",
        f"float[{batch},3,8,8]",
        zero=int64(0),
        one=int64(1),
        minus=int64(-1),
    )
    graph = assert_same(model, batch=4 if batch == "4" else 1)
    assert graph.shapes["y"] == (1, 3)
