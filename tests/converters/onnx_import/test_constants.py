import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from converters.errors import UnsupportedModelError
from converters.onnx_import import constants
from converters.onnx_import.constants import FILE_COPIES, MAX_GROWN_BYTES, Constants
from converters.onnx_import.source import Activation, RefusedError, Resolved
from edge.tensors import Array
from tests.converters.models import assert_same, build, imported, int64, normal


def node(text: str) -> onnx.NodeProto:
    return parser.parse_node(text)


def fold(text: str, inputs: Sequence[Resolved], opset: int = 17) -> Array | None:
    """Fold a node of a model that holds these inputs."""
    held = [value for value in inputs if isinstance(value, np.ndarray)]
    folded = Constants(opset, held).fold(node(text), inputs)
    return None if folded is None else folded[0]


def test_only_constants_are_folded() -> None:
    assert fold("c = Add(a, b)", [int64(1), Activation("b", (1,))]) is None
    assert fold("c = Relu(a)", [normal(3)]) is None
    assert fold("c = Cast<to=1>()", []) is None


@pytest.mark.parametrize(
    ("text", "inputs", "expected"),
    [
        ("c = Add(a, b)", [int64(1, 2), int64(3)], int64(4, 5)),
        ("c = Gather(a, b)", [int64(7, 8, 9), np.asarray(1)], np.asarray(8)),
        ("c = GatherND(a, b)", [int64(7, 8, 9), int64(2, 0).reshape(2, 1)], int64(9, 7)),
        (
            "c = GatherND<batch_dims=1>(a, b)",
            [np.arange(12).reshape(2, 3, 2), int64(2, 0).reshape(2, 1)],
            int64(4, 5, 6, 7).reshape(2, 2),
        ),
        ("c = Slice(a, b, d)", [int64(7, 8, 9), int64(1), int64(3)], int64(8, 9)),
        ("c = Concat<axis=0>(a, b)", [int64(1), int64(2)], int64(1, 2)),
        ("c = Unsqueeze(a, b)", [np.asarray(3), int64(0)], int64(3)),
        ("c = Cast<to=1>(a)", [int64(3)], np.asarray([3], np.float32)),
        ("c = Div(a, b)", [int64(7), int64(2)], int64(3)),
        ("c = Expand(a, b)", [int64(4), int64(2, 3)], np.full((2, 3), 4)),
        ("c = CastLike(a, b)", [int64(3), normal(1)], np.asarray([3], np.float32)),
        ("c = Transpose(a)", [int64(1, 2).reshape(2, 1)], int64(1, 2).reshape(1, 2)),
        ("c = ConstantOfShape(a)", [int64(2)], np.zeros(2, np.float32)),
        ("c = Range(a, b, d)", [np.asarray(5), np.asarray(0), np.asarray(-2)], int64(5, 3, 1)),
        ("c = Range(a, b, d)", [np.asarray(5), np.asarray(0), np.asarray(1)], int64()),
        ("c = Tile(a, b)", [int64(1, 2), int64(2)], int64(1, 2, 1, 2)),
        ("c = Pad(a, b)", [int64(1, 2), int64(1, 2)], int64(0, 1, 2, 0, 0)),
    ],
)
def test_values(text: str, inputs: list[Array], expected: Array) -> None:
    result = fold(text, inputs)
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
        ("c = GatherND(a, b)", [int64(1, 2), int64(0, 1)]),
        ("c = Concat<axis=3>(a, b)", [int64(1), int64(2)]),
        ("c = Range(a, b, d)", [np.asarray(0), np.asarray(5), np.asarray(0)]),
        ("c = Range(a, b, d)", [np.asarray(0.0), np.asarray(np.inf), np.asarray(1.0)]),
        ("c = Range(a, b, d)", [np.asarray(0.0), np.asarray(np.nan), np.asarray(1.0)]),
        ("c = Range(a, b, d)", [int64(0, 0), np.asarray(5), np.asarray(1)]),
        ("c = Tile(a, b)", [int64(1, 2), int64(-1)]),
        ("c = Pad(a, b)", [int64(1, 2), int64(1)]),
        ("c = ConstantOfShape(a)", [int64(-1)]),
    ],
)
def test_constants_that_do_not_fit_together(text: str, inputs: list[Array]) -> None:
    with pytest.raises(RefusedError, match="its constant inputs do not fit together"):
        fold(text, inputs)


@pytest.mark.parametrize(
    ("text", "shapes", "size"),
    [
        ("c = Gather(a, b)", [(8, 8), (8, 8)], 8**3),
        ("c = GatherND(a, b)", [(2, 8, 8), (8, 8, 2)], 8**3),
        ("c = Add(a, b)", [(64, 1), (1, 64)], 64**2),
        ("c = Concat<axis=0>(a, a)", [(9,), (9,)], 18),
    ],
)
def test_huge_constants_are_refused_before_they_are_made(
    text: str, shapes: list[tuple[int, ...]], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [np.zeros(shape, np.int64) for shape in shapes]
    held = FILE_COPIES * sum(value.nbytes for value in inputs)
    monkeypatch.setattr(constants, "MAX_GROWN_BYTES", 8 * size - held)
    assert fold(text, inputs) is not None
    monkeypatch.setattr(constants, "MAX_GROWN_BYTES", 8 * size - held - 1)
    monkeypatch.setattr(constants, "_evaluate", lambda *_: pytest.fail("it was made"))
    with pytest.raises(RefusedError, match=f"takes {8 * size} bytes"):
        fold(text, inputs)


def test_what_the_file_holds_may_be_copied_some_times_and_viewed_at_will(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "MAX_GROWN_BYTES", 0)
    weight, other = normal(64, 4), normal(64, 4, seed=1)
    model = Constants(17, [weight, other])
    view: Resolved = weight
    for _ in range(9):
        (view,) = model.fold(node("c = Transpose(a)"), [view]) or ()
    assert isinstance(view, np.ndarray)
    assert np.shares_memory(view, weight)
    shape = int64(256)
    for value in (weight, other) * FILE_COPIES:
        # A transposed array in another shape is a copy, as an Identity is here.
        assert model.fold(node("c = Reshape(a, b)"), [value.T, shape]) is not None
    assert model.room_bytes == 0
    for text, inputs in (("c = Reshape(a, b)", [weight.T, shape]), ("c = Neg(a)", [int64(1)])):
        with pytest.raises(RefusedError, match="its constant value takes"):
            model.fold(node(text), inputs)
    # A Constant node's value stands in the file as well.
    model.count(int64(5), [])
    assert model.fold(node("c = Neg(a)"), [int64(1)]) is not None


def test_a_huge_expand_is_refused_before_it_is_made() -> None:
    with pytest.raises(RefusedError, match=f"takes {2**63} bytes"):
        fold("c = Expand(a, b)", [int64(1), int64(2**30, 2**30)])


DOUBLED = "a0 = {0}(s, s) " + " ".join(f"a{i} = {{0}}(a{i - 1}, a{i - 1})" for i in range(1, 40))


@pytest.mark.parametrize(
    "body",
    [
        DOUBLED.format("Concat<axis=0>"),
        # By way of views, so that it is never one value that is read twice.
        "".join(
            f"b{i} = Reshape({s}, minus) a{i} = Concat<axis=0>({s}, b{i}) "
            for i, s in enumerate(["s", *(f"a{i}" for i in range(40))])
        ),
        # Many that are each allowed alone.
        "".join(f"a{i} = Expand(s, t) " for i in range(40)),
        "".join(f"a{i} = CastLike(w, x) " for i in range(40)),
    ],
    ids=["doubled", "doubled by views", "many", "many casts"],
)
def test_a_small_file_stays_small(body: str) -> None:
    held: dict[str, Any] = {"s": int64(1, 2), "t": int64(1 << 18, 2), "minus": int64(-1)}
    model = build(f"{body} y = Relu(x)", w=np.zeros(1 << 20, np.int8), **held)
    own = sum(value.nbytes for value in held.values()) + (1 << 20)
    limit = MAX_GROWN_BYTES + FILE_COPIES * own
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedModelError, match=f"{MAX_GROWN_BYTES >> 20} MiB"):
            imported(model)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The constants, the largest of them while it is made, and 2 MB for all else.
    assert peak < 2 * limit + 2_000_000


@pytest.mark.parametrize("text", ["c = Add(a, a)", "c = Identity(a)", "c = Concat<axis=0>(a, a)"])
@pytest.mark.parametrize("kind", [object, np.complex64])
def test_what_is_no_number_is_refused(text: str, kind: type) -> None:
    word: Array = np.asarray(["ab" if kind is object else 1j], kind)
    with pytest.raises(RefusedError, match="only numbers are computed with"):
        fold(text, [word, word] if "a, a" in text else [word])


def test_numbers_as_text_are_refused() -> None:
    with pytest.raises(RefusedError, match="only numbers are computed with"):
        fold("c = Cast<to=8>(a)", [int64(1)])


GROWING = [
    ("c = ConstantOfShape(a)", [int64(40, 50)], 2000),
    ("c = Range(a, b, d)", [np.asarray(0), np.asarray(1999), np.asarray(2)], 1000),
    ("c = Tile(a, b)", [np.zeros((3, 4)), int64(5, 6)], 360),
    ("c = Pad(a, b)", [np.zeros((3, 4)), int64(1, 2, 3, 4)], 70),
    ('c = Pad(a, b, "", d)', [np.zeros((3, 4)), int64(0, 96), None, int64(1)], 300),
    ('c = Pad(a, b, "", d)', [np.zeros((3, 4)), int64(0, 0, 0, 96), None, int64(1, 0)], 396),
    ('c = Pad(a, b, "", d)', [np.zeros((3, 4)), int64(0, 96), None, int64(-2)], 396),
]


@pytest.mark.parametrize(("text", "inputs", "size"), GROWING)
def test_what_grows_is_measured_before_it_is_made(
    text: str, inputs: list[Array | None], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [value for value in inputs if value is not None]
    held, size_bytes = FILE_COPIES * sum(value.nbytes for value in given), 8 * size
    monkeypatch.setattr(constants, "MAX_GROWN_BYTES", size_bytes - held)
    result = fold(text, inputs, 18)
    assert result is not None
    assert result.size == size
    monkeypatch.setattr(constants, "MAX_GROWN_BYTES", size_bytes - held - 1)
    monkeypatch.setattr(constants, "_evaluate", lambda *_: pytest.fail("it was made"))
    with pytest.raises(RefusedError, match=f"takes {size_bytes} bytes"):
        fold(text, inputs, 18)


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


@pytest.mark.parametrize("kind", ["Div", "Mod"])
@pytest.mark.parametrize(
    ("number", "divisor"), [(7, 0), (0, 0), (-(1 << 63), -1)], ids=["zero", "zeros", "overflow"]
)
def test_divisions_that_stop_a_processor(kind: str, number: int, divisor: int) -> None:
    inputs: list[Resolved] = [int64(5, number), int64(1, divisor)]
    with pytest.raises(RefusedError, match="divides by zero, or the smallest number there is by"):
        fold(f"c = {kind}(a, b)", inputs)
    assert fold(f"c = {kind}(a, b)", [int64(5, 1 - (1 << 63)), int64(1, -1)]) is not None


def test_floats_are_divided_by_zero() -> None:
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    assert fold("c = Div(a, b)", [one, zero]) == np.inf


@pytest.mark.parametrize(
    ("attributes", "size"),
    [("", 36 * 4), ("<pads=[1,1,1,1]>", 64 * 4), ("<dilations=[2,3]>", 36 * 4 * 6)],
)
def test_a_constant_convolution_counts_what_its_windows_see(
    attributes: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight = normal(1, 1, 6, 6), normal(1, 1, 2, 2)
    room = 4 * size - FILE_COPIES * (x.nbytes + weight.nbytes)
    monkeypatch.setattr(constants, "MAX_GROWN_BYTES", room)
    assert fold(f"c = Conv{attributes}(a, b)", [x, weight]) is not None
    monkeypatch.setattr(constants, "MAX_GROWN_BYTES", room - 1)
    with pytest.raises(RefusedError, match=f"takes {4 * size} bytes"):
        fold(f"c = Conv{attributes}(a, b)", [x, weight])
